"""The dashboards: engines, cards, host and gateway; each shows only what something in the stack tells."""

from provisioner.model.plugins import Stack
from provisioner.services import _engine_metrics, _rules, exporters
from provisioner.services._gpu_metrics import GPUS, GpuMetrics
from provisioner.services._panels import Json, Panel, dashboard

SERVICE = "{{service}}"


def dashboards(stack: Stack) -> dict[str, Json]:
    """By the names of their files."""
    found: dict[str, tuple[str, tuple[Panel, ...]]] = {}
    if _engine_metrics.scraped(stack):
        found["engines"] = ("Engines", engines(stack))
    for maker in exporters.makers(stack) if "exporters" in stack.wanted else ():
        found[f"cards-{maker}"] = (f"Cards: {maker}", cards(GPUS[maker]))
    if "exporters" in stack.wanted:
        found["host"] = ("Host", host())
    if "gateway" in stack.wanted:
        found["gateway"] = ("Gateway", gateway())
    return {name: dashboard(f"provision-{name}", title, panels) for name, (title, panels) in found.items()}


def engines(stack: Stack) -> tuple[Panel, ...]:
    recorded = {str(rule["record"]) for rule in _rules.recorded(stack)}
    alarms = Panel(
        "Alarms", "none", (('count(ALERTS{alertstate="firing"}) or vector(0)', "firing"),),
        "What fires stands in Prometheus under Alerts.", stat=True, levels=((1, "red"),),
    )  # fmt: skip
    up = Panel("Answers", "none", (('up{job="engine"}', SERVICE),), "1: its figures can be read.", stat=True)
    lines = (
        Panel(
            "Tokens generated", "short", ((_rules.GENERATED, SERVICE),), "Tokens a second, of all requests together."
        ),
        Panel(
            "Tokens read",
            "short",
            ((_rules.PROMPT, SERVICE),),
            "Tokens of prompts a second.",
        ),
        Panel("Requests", "short", ((_rules.RUNNING, f"{SERVICE} running"), (_rules.WAITING, f"{SERVICE} waiting"))),
        Panel("Steps", "short", ((_rules.STEPS, SERVICE),), "Computed a second; requests without steps: it is wedged."),
        Panel("Cache", "percentunit", ((_rules.CACHE, SERVICE),), "Full: requests wait, or are computed again.", 1),
        Panel("First token", "s", ((_rules.FIRST_TOKEN, SERVICE),), "Nineteen of twenty wait less."),
        Panel("Between tokens", "s", ((_rules.BETWEEN_TOKENS, SERVICE),), "Nineteen of twenty wait less."),
    )
    return (alarms, up, *(panel for panel in lines if panel.queries[0][0] in recorded))


def cards(told: GpuMetrics) -> tuple[Panel, ...]:
    card = f"card {{{{{told.label}}}}}"
    return (
        Panel("Busy", "percent", ((told.busy, card),), most=100),
        Panel("Memory in use", "bytes", ((told.memory_used, card),)),
        Panel("Memory free", "bytes", ((told.memory_free, card),)),
        Panel("Temperature", "celsius", ((told.temperature, card),)),
        Panel("Temperature of the memory", "celsius", ((told.memory_temperature, card),)),
        Panel("Power", "watt", ((told.power, card),)),
        Panel("Faults", "none", ((f"count({told.faults}) or vector(0)", "cards"),),
              "Cards that need a reset or a look.", stat=True, levels=((1, "red"),)),
    )  # fmt: skip


def host() -> tuple[Panel, ...]:
    idle = 'avg(rate(node_cpu_seconds_total{mode="idle"}[2m]))'
    used = f"1 - {_rules.FREE}"
    disk = "sum by (device) (rate(node_disk_{}_bytes_total[2m]))"
    return (
        Panel("Processors", "percentunit", ((f"1 - {idle}", "busy"),), most=1),
        Panel("Load", "short", (("node_load1", "1 minute"), ("node_load15", "15 minutes"))),
        Panel("Memory", "bytes", (
            ("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "in use"),
            ("node_memory_MemAvailable_bytes", "available"),
        )),
        Panel("Disks", "percentunit", ((used, "{{mountpoint}}"),), most=1),
        Panel("Disks, read and written", "Bps", (
            (disk.format("read"), "{{device}} read"), (disk.format("written"), "{{device}} written"),
        )),
        Panel("Running since", "s", (("time() - node_boot_time_seconds", "host"),), stat=True),
    )  # fmt: skip


def gateway() -> tuple[Panel, ...]:
    left = "provision_gateway_certificate_expires_seconds - time()"
    return (
        Panel("Answers", "none", (('up{job="gateway"}', "gateway"),), "1: its figures can be read.", stat=True),
        Panel(
            "Certificate",
            "s",
            ((left, "valid for"),),
            stat=True,
            levels=((_rules.DAY, "orange"), (14 * _rules.DAY, "green")),
        ),
        Panel("Connections", "short", (("provision_gateway_connections", "{{state}}"),)),
    )
