"""Each alarm, by Prometheus' own rule engine: it rings when it should, and not when it should not."""

import subprocess
from pathlib import Path

import pytest
import yaml

from provisioner.model.containers import Grant
from provisioner.model.plugins import Stack
from provisioner.services import exporters, prometheus
from tests.unit.services.samples import ALL, engine, stack
from tools import images

pytestmark = [pytest.mark.needs("prometheus")]

NVIDIA = Grant("nvidia", cdi=("nvidia.com/gpu=all",))
AMD = Grant("amd", nodes=("/dev/kfd", "/dev/dri"))
LLM = 'service="llm",model="qwen3-32b"'
ROOT = 'mountpoint="/",fstype="ext4",device="/dev/vda1"'
DAY = 86400

ENGINE_UP = 'up{job="engine",service="llm"}'
AVAILABLE = "node_memory_MemAvailable_bytes"
TOTAL = "node_memory_MemTotal_bytes"
DISK = f"node_filesystem_avail_bytes{{{ROOT}}}"
DISK_SIZE = f"node_filesystem_size_bytes{{{ROOT}}}"
XID = 'DCGM_FI_DEV_XID_ERRORS{gpu="0"}'
EXPIRES = "provision_gateway_certificate_expires_seconds"

Series = dict[str, str]

CASES: list[tuple[str, int, Series, Series]] = [
    ("EngineDown", 5, {ENGINE_UP: "0x500"}, {ENGINE_UP: "1x500"}),
    (
        "EngineWedged", 10,
        {f"vllm:num_requests_running{{{LLM}}}": "3x500", f"vllm:iteration_tokens_total_count{{{LLM}}}": "100x500"},
        {f"vllm:num_requests_running{{{LLM}}}": "3x500", f"vllm:iteration_tokens_total_count{{{LLM}}}": "100+60x500"},
    ),
    (
        "EngineWedged", 10,
        {f"llamacpp:requests_processing{{{LLM}}}": "1x500", f"llamacpp:n_decode_total{{{LLM}}}": "7x500"},
        {f"llamacpp:requests_processing{{{LLM}}}": "0x500", f"llamacpp:n_decode_total{{{LLM}}}": "7x500"},
    ),
    (
        "EngineWedged", 10,
        {f"sglang:num_running_reqs{{{LLM}}}": "1x500", f'sglang:realtime_tokens_total{{{LLM},mode="decode"}}': "7x500"},
        {f"sglang:num_running_reqs{{{LLM}}}": "1x500", f'sglang:realtime_tokens_total{{{LLM},mode="decode"}}': "7+1x500"},
    ),
    (
        "EngineQueueGrows", 40,
        {f"vllm:num_requests_waiting{{{LLM}}}": "0+2x500"},
        {f"vllm:num_requests_waiting{{{LLM}}}": "20x500"},
    ),
    (
        "EngineCacheFull", 10,
        {f"vllm:kv_cache_usage_perc{{{LLM}}}": "0.99x500"},
        {f"vllm:kv_cache_usage_perc{{{LLM}}}": "0.9x500"},
    ),
    ("HostUnknown", 10, {'up{job="host"}': "0x500"}, {'up{job="host"}': "1x500"}),
    ("HostMemoryLow", 10, {AVAILABLE: "4x500", TOTAL: "100x500"}, {AVAILABLE: "40x500", TOTAL: "100x500"}),
    ("DiskFull", 10, {DISK: "4x500", DISK_SIZE: "100x500"}, {DISK: "10x500", DISK_SIZE: "100x500"}),
    ("DiskFull", 10, {DISK: "4x500", DISK_SIZE: "100x500"}, {
        DISK.replace("ext4", "tmpfs"): "4x500", DISK_SIZE.replace("ext4", "tmpfs"): "100x500",
    }),
    ("DiskFills", 480, {DISK: "290-0.25x500", DISK_SIZE: "1000x500"}, {DISK: "290x500", DISK_SIZE: "1000x500"}),
    ("GpuUnknown", 10, {'up{job="gpu",maker="nvidia"}': "0x500"}, {'up{job="gpu",maker="nvidia"}': "1x500"}),
    ("GpuFault", 1, {XID: "79x500"}, {XID: "31x500"}),
    (
        "GpuFault", 20,
        {'DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{gpu="0"}': "0x15 1x500"},
        {'DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{gpu="0"}': "1x500"},
    ),
    ("GpuFault", 1, {'DCGM_FI_DEV_ROW_REMAP_FAILURE{gpu="0"}': "1x9"}, {'DCGM_FI_DEV_ROW_REMAP_FAILURE{gpu="0"}': "0x9"}),
    ("GpuFault", 20, {'gpu_ecc_uncorrect_total{gpu_id="0"}': "0x15 1x500"}, {'gpu_ecc_uncorrect_total{gpu_id="0"}': "3x500"}),
    ("GpuTrouble", 30, {XID: "0x9 31x500"}, {XID: "0x9 79x500"}),
    ("GpuTrouble", 120, {XID: "0x99 31x500"}, {XID: "0x9 31x500"}),
    (
        "GpuTrouble", 10,
        {'DCGM_FI_DEV_THERMAL_VIOLATION{gpu="0"}': "5+900x500"},
        {'DCGM_FI_DEV_THERMAL_VIOLATION{gpu="0"}': "5x500"},
    ),
    ("GpuHot", 10, {'DCGM_FI_DEV_GPU_TEMP{gpu="0"}': "88x500"}, {'DCGM_FI_DEV_GPU_TEMP{gpu="0"}': "80x500"}),
    ("GpuHot", 10, {'gpu_junction_temperature{gpu_id="0"}': "99x500"}, {'gpu_junction_temperature{gpu_id="0"}': "90x500"}),
    (
        "GpuMemoryHot", 10,
        {'DCGM_FI_DEV_MEMORY_TEMP{gpu="0"}': "97x500"},
        {'DCGM_FI_DEV_MEMORY_TEMP{gpu="0"}': "9223372036854775794x500"},
    ),
    ("GatewayDown", 5, {'up{job="gateway"}': "0x500"}, {'up{job="gateway"}': "1x500"}),
    ("CertificateExpires", 120, {EXPIRES: f"{5 * DAY}x500"}, {EXPIRES: f"{60 * DAY}x500"}),
    ("CertificateExpired", 5, {EXPIRES: "3600x500"}, {EXPIRES: f"{5 * DAY}x500"}),
]  # fmt: skip
"""What rings after so many minutes of what, a value a minute; and what is like it and does not ring."""


def everything() -> Stack:
    """All engines that tell anything, and cards of two makers."""
    return stack(
        engine("llm", grant=NVIDIA),
        engine("b", engine="llamacpp", model_name="b", port=8001, grant=AMD),
        engine("c", engine="sglang", model_name="c", port=8002),
        engine("d", engine="ollama", model_name="d", port=11434),
        vendors=("nvidia", "amd"),
    )


def promtool(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """In the image, over the folder as Prometheus sees it."""
    command = [
        "docker", "run", "--rm", "--network=none", f"--volume={folder}:/etc/prometheus:ro",
        f"--volume={folder}/secrets:/run/secrets:ro", "--entrypoint=promtool", images.image("prometheus"), *words,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def write(wanted: Stack, folder: Path) -> None:
    folder.chmod(0o755)  # The image is nobody's.
    (folder / "secrets").mkdir()
    (folder / "secrets" / "llm.key").write_text("a key\n")
    for file in prometheus.SERVICE.files(wanted):
        (folder / file.path.removeprefix("prometheus/")).write_text(file.content)


@pytest.mark.parametrize(
    "wanted",
    [everything(), stack(), stack(engine(engine="ollama")), stack(wanted=ALL - {"exporters", "gateway"})],
    ids=["everything", "vllm", "ollama", "alone"],
)
def test_prometheus_takes_its_configuration(wanted: Stack, tmp_path: Path) -> None:
    write(wanted, tmp_path)
    checked = promtool(tmp_path, "check", "config", "/etc/prometheus/prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alarm_rings_when_it_should_and_not_when_it_should_not(tmp_path: Path) -> None:
    write(everything(), tmp_path)
    tests = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alarm}",alertstate="firing"}}) or vector(0)',
                    "eval_time": f"{minutes}m",
                    "exp_samples": [{"labels": "{}", "value": rings}],
                }
            ],
        }
        for alarm, minutes, loud, quiet in CASES
        for series, rings in ((loud, 1), (quiet, 0))
    ]
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(document))
    tested = promtool(tmp_path, "test", "rules", "/etc/prometheus/tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_no_alarm_is_without_a_case() -> None:
    rules = yaml.safe_load(
        next(file.content for file in prometheus.SERVICE.files(everything()) if "rules" in file.path)
    )
    named = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    assert named == {alarm for alarm, _, _, _ in CASES}
    assert exporters.makers(everything()) == ("nvidia", "amd")
