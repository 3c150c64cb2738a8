"""What Prometheus reckons beforehand, and when it calls: the same names over all engines."""

from provisioner.model.plugins import Stack
from provisioner.services import _engine_metrics, exporters
from provisioner.services._engine_metrics import EngineMetrics
from provisioner.services._gpu_metrics import GPUS, GpuMetrics

Rule = dict[str, object]

RUNNING = "provision:requests_running"
WAITING = "provision:requests_waiting"
STEPS = "provision:steps:rate2m"
GENERATED = "provision:generated_tokens:rate1m"
PROMPT = "provision:prompt_tokens:rate1m"
CACHE = "provision:cache_usage"
FIRST_TOKEN = "provision:first_token_seconds:p95"  # noqa: S105 - the name of a time
BETWEEN_TOKENS = "provision:between_tokens_seconds:p95"

BY = "sum by (service, model)"

HERE = 'fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|autofs|fuse.*"'
FREE = f"node_filesystem_avail_bytes{{{HERE}}} / node_filesystem_size_bytes{{{HERE}}}"

DAY = 86400


def recorded(stack: Stack) -> list[Rule]:
    """One name for what the engines name differently; only what somebody in this stack tells."""
    kinds = _engine_metrics.kinds(stack)
    wanted = {
        RUNNING: [f"{BY} ({kind.running})" for kind in kinds],
        WAITING: [f"{BY} ({kind.waiting})" for kind in kinds],
        STEPS: [f"{BY} (rate({kind.steps}[2m]))" for kind in kinds],
        GENERATED: [f"{BY} (rate({kind.generated}[1m]))" for kind in kinds],
        PROMPT: [f"{BY} (rate({kind.prompt}[1m]))" for kind in kinds],
        CACHE: [f"max by (service, model) ({kind.cache})" for kind in kinds if kind.cache],
        FIRST_TOKEN: [_high(kind.first_token) for kind in kinds if kind.first_token],
        BETWEEN_TOKENS: [_high(kind.between_tokens) for kind in kinds if kind.between_tokens],
    }
    return [{"record": name, "expr": " or ".join(found)} for name, found in wanted.items() if found]


def _high(histogram: str) -> str:
    """What nineteen of twenty stay below."""
    return f"histogram_quantile(0.95, sum by (service, model, le) (rate({histogram}_bucket[5m])))"


def alerts(stack: Stack) -> list[Rule]:
    kinds = _engine_metrics.kinds(stack)
    return [
        *(_engines(kinds) if kinds else ()),
        *(_host() if "exporters" in stack.wanted else ()),
        *(_gpus(stack) if "exporters" in stack.wanted else ()),
        *(_gateway() if "gateway" in stack.wanted else ()),
    ]


def _alert(name: str, severity: str, lasting: str, expr: str, says: str, fix: str, maker: str = "") -> Rule:
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity, **({"maker": maker} if maker else {})},
        "annotations": {"summary": says, "fix": fix},
    }


def _engines(kinds: tuple[EngineMetrics, ...]) -> list[Rule]:
    wedged = f"({RUNNING} > 0) and on (service, model) ({STEPS} == 0)"
    growing = f"({WAITING} > 8) and on (service, model) (deriv({WAITING}[10m]) > 0)"
    found = [
        _alert("EngineDown", "critical", "1m", 'up{job="engine"} == 0',
               "{{ $labels.service }} tells nothing of itself", "provision check; provision logs {{ $labels.service }}"),
        _alert("EngineWedged", "critical", "2m", wedged,
               "{{ $labels.service }} has requests and computes nothing", "provision check; provision up starts it again"),
        _alert("EngineQueueGrows", "warning", "10m", growing,
               "{{ $value }} requests wait for {{ $labels.service }}, and there are more and more",
               "fewer users, a smaller context, or another copy: provision plan --explain"),
    ]  # fmt: skip
    if any(kind.cache for kind in kinds):
        full = _alert("EngineCacheFull", "warning", "5m", f"{CACHE} > 0.95",
                      "the cache of {{ $labels.service }} is full: requests wait, or are computed again",
                      "a smaller context or fewer requests at a time: provision plan --explain")  # fmt: skip
        found.append(full)
    return found


def _host() -> list[Rule]:
    memory = "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.05"
    filling = f"({FREE} < 0.3) and (predict_linear(node_filesystem_avail_bytes{{{HERE}}}[6h], {DAY}) < 0)"
    return [
        _alert("HostUnknown", "warning", "5m", 'up{job="host"} == 0', "the host's exporter does not answer",
               "docker logs of node-exporter say why"),
        _alert("HostMemoryLow", "warning", "5m", memory, "less than a twentieth of the host's memory is available",
               "ps aux --sort=-rss shows who takes it"),
        _alert("DiskFull", "critical", "5m", f"{FREE} < 0.05", "{{ $labels.mountpoint }} is nearly full",
               "provision doctor; df -h {{ $labels.mountpoint }}"),
        _alert("DiskFills", "warning", "1h", filling, "{{ $labels.mountpoint }} will be full within a day",
               "df -h {{ $labels.mountpoint }} and du show what grows"),
    ]  # fmt: skip


def _gpus(stack: Stack) -> list[Rule]:
    return [rule for maker in exporters.makers(stack) for rule in _cards(maker, GPUS[maker])]


def _cards(maker: str, told: GpuMetrics) -> list[Rule]:
    card = f"{maker} {{{{ $labels.{told.label} }}}}"
    faults, air = f"({told.faults})", "look at its fans, its air and its power limit"
    return [
        _alert("GpuUnknown", "warning", "5m", f'up{{job="gpu",maker="{maker}"}} == 0',
               f"the exporter of {maker}'s cards does not answer", "its log says why", maker),
        _alert("GpuFault", "critical", "0m", faults,
               f"card {card} reports {{{{ $value }}}}: it needs a reset or a look", "provision doctor; dmesg | tail", maker),
        _alert("GpuTrouble", "warning", "0m", f"({told.troubles}) unless on ({told.label}) {faults}",
               f"card {card} reports an error, or is slowed down by heat", "dmesg says which; look at its cooling", maker),
        _alert("GpuHot", "warning", "5m", f"({told.temperature}) >= {told.hot}",
               f"card {card} is at {{{{ $value }}}} °C", air, maker),
        _alert("GpuMemoryHot", "warning", "5m", f"({told.memory_temperature}) >= {told.memory_hot}",
               f"the memory of card {card} is at {{{{ $value }}}} °C", air, maker),
    ]  # fmt: skip


def _gateway() -> list[Rule]:
    left = "provision_gateway_certificate_expires_seconds - time()"
    return [
        _alert("GatewayDown", "critical", "1m", 'up{job="gateway"} == 0', "the gateway does not answer",
               "provision check; provision logs gateway"),
        _alert("CertificateExpires", "warning", "1h", f"({left} < {14 * DAY}) and ({left} > {DAY})",
               "the gateway's certificate is valid for {{ $value | humanizeDuration }} more", "provision up renews our own; yours is yours"),
        _alert("CertificateExpired", "critical", "0m", f"{left} <= {DAY}",
               "the gateway's certificate has expired, or will within a day", "provision up renews our own; yours is yours"),
    ]  # fmt: skip


def groups(stack: Stack) -> list[Rule]:
    """Those of the rule file that hold something."""
    found: list[Rule] = [
        {"name": "provision-recorded", "rules": recorded(stack)},
        {"name": "provision-alerts", "rules": alerts(stack)},
    ]
    return [group for group in found if group["rules"]]
