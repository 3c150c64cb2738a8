"""The exporter of each maker of accelerators: its image, and the names under which it tells of heat, memory and errors."""

from collections.abc import Mapping

from provisioner.model.record import dataclass, field


@dataclass(frozen=True, slots=True)
class GpuMetrics:
    """Queries in Prometheus' language, in percent, bytes, degrees Celsius and watts."""

    image: str
    port: int
    busy: str
    memory_used: str
    memory_free: str
    temperature: str
    memory_temperature: str
    power: str
    faults: str
    """Not empty where a device has to be taken out or reset."""
    troubles: str
    """Not empty where a program on a device went wrong, or what was wrong could be mended."""
    label: str
    """The label that numbers the devices."""
    source: str
    hot: int = 87
    """Cards take their clocks down at about 90 °C."""
    memory_hot: int = 95
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that it reads, by name; they are seen in `/etc/provision`."""


FAULTS = (48, 62, 64, 74, 79, 92, 95, 109, 119, 120, 136, 140, 143, 149, 154)
"""XIDs after which a card needs a reset, a drain or a look: https://docs.nvidia.com/deploy/xid-errors (catalog, actions)."""

COUNTERS = (
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization in percent"),
    ("DCGM_FI_DEV_FB_USED", "gauge", "Memory in use in MiB"),
    ("DCGM_FI_DEV_FB_FREE", "gauge", "Memory free in MiB"),
    ("DCGM_FI_DEV_GPU_TEMP", "gauge", "Temperature in C"),
    ("DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Temperature of the memory in C"),
    ("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power in W"),
    ("DCGM_FI_DEV_SM_CLOCK", "gauge", "Clock in MHz"),
    ("DCGM_FI_DEV_XID_ERRORS", "gauge", "The last XID"),
    ("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "counter", "Errors of two bits since the driver was loaded"),
    ("DCGM_FI_DEV_ROW_REMAP_FAILURE", "gauge", "Whether remapping of rows has failed"),
    ("DCGM_FI_DEV_THERMAL_VIOLATION", "counter", "Time throttled because of heat"),
)

XID = "DCGM_FI_DEV_XID_ERRORS"
KNOWN_TEMPERATURE = "< 1000"
"""DCGM tells a number beyond 2^62 where a card has no such sensor."""

NVIDIA = GpuMetrics(
    # Later releases (4.9.0) name and scale their figures differently; on Volta 4.4.2-4.7.1-ubuntu22.04 is said to work.
    image="nvcr.io/nvidia/k8s/dcgm-exporter:4.6.0-4.8.3-distroless",
    port=9400,
    busy="DCGM_FI_DEV_GPU_UTIL",
    memory_used="DCGM_FI_DEV_FB_USED * 1048576",
    memory_free="DCGM_FI_DEV_FB_FREE * 1048576",
    temperature="DCGM_FI_DEV_GPU_TEMP",
    memory_temperature=f"DCGM_FI_DEV_MEMORY_TEMP {KNOWN_TEMPERATURE}",
    power="DCGM_FI_DEV_POWER_USAGE",
    faults=" or ".join(
        (
            *(f"{XID} == {number}" for number in FAULTS),
            "increase(DCGM_FI_DEV_ECC_DBE_VOL_TOTAL[10m]) > 0",
            "DCGM_FI_DEV_ROW_REMAP_FAILURE > 0",
        )
    ),
    # The last XID stays until the driver is loaded anew: it is news for an hour.
    troubles=f"({XID} > 0 and changes({XID}[1h]) > 0) or rate(DCGM_FI_DEV_THERMAL_VIOLATION[5m]) > 0",
    label="gpu",
    source="https://docs.nvidia.com/datacenter/dcgm/latest/installation/install-dcgm-exporter.html; etc/default-counters.csv",
    env={"DCGM_EXPORTER_COLLECTORS": "/etc/provision/counters.csv", "NVIDIA_DRIVER_CAPABILITIES": "utility,compute"},
    files={"counters.csv": "".join(f"{name}, {kind}, {text}.\n" for name, kind, text in COUNTERS)},
)

AMD = GpuMetrics(
    image="docker.io/rocm/device-metrics-exporter:v1.5.0",
    port=5000,
    busy="gpu_gfx_activity",
    memory_used="gpu_used_vram * 1048576",
    memory_free="gpu_free_vram * 1048576",
    temperature="gpu_junction_temperature or gpu_edge_temperature",
    memory_temperature="gpu_memory_temperature",
    power="gpu_power_usage",
    faults="increase(gpu_ecc_uncorrect_total[10m]) > 0",
    troubles="increase(gpu_ecc_correct_total[10m]) > 0",
    label="gpu_id",
    source="docs/configuration/metricslist.md and docs/installation/docker.md of ROCm/device-metrics-exporter@0778d3ab4d66",
    hot=95,
)

GPUS: Mapping[str, GpuMetrics] = {"nvidia": NVIDIA, "amd": AMD}
"""By maker; Huawei's NPU-Exporter wants the socket of the container engine, which is the whole machine, and is not started."""
