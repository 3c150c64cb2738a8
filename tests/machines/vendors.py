"""Machines with other makers' accelerators: what their tools printed (`samples.py`), put into the server of `compose.py`."""

import json
from collections.abc import Iterable, Mapping

from tests.machines import samples
from tests.machines.compose import Json, server

KFD = "/sys/class/kfd/kfd/topology/nodes"
STATIC, METRIC, LIST = (
    "amd-smi static --asic --bus --vram --json",
    "amd-smi metric --mem-usage --json",
    "amd-smi list -e --json",
)


def bus(address: str, vendor: str, device: str, kind: str, node: int = 0) -> dict[str, Json]:
    """A device as the bus shows it."""
    folder = f"/sys/bus/pci/devices/{address}/"
    values = {"class": f"0x{kind}", "vendor": f"0x{vendor}", "device": f"0x{device}", "numa_node": str(node)}
    return {folder + name: f"{value}\n" for name, value in values.items()}


def machine(
    files: Mapping[str, Json],
    tools: Mapping[str, Json],
    links: Mapping[str, Json] | None = None,
    nodes: Iterable[str] = (),
    arm: bool = False,
) -> dict[str, Json]:
    """The server with these files in it, and what the tools print; a tool that is not named is not installed."""
    base = server(2, 16, 512)
    old, ways, kernel = base["files"], base["links"], base["kernel"]
    assert isinstance(old, dict)
    assert isinstance(ways, dict)
    assert isinstance(kernel, dict)
    told: dict[str, Json] = {"nodes": json.dumps({"system": "Linux", "names": sorted(nodes)})}
    if arm:
        told["uname"] = json.dumps({"node": "composed", "release": "5.10.0-182", "machine": "aarch64"})
    return {
        **base,
        "files": {**old, **files},
        "links": {**ways, **(links or {})},
        "kernel": {**kernel, **told},
        "tools": dict(tools),
    }


def _missing(*commands: str) -> dict[str, Json]:
    return {command: {"unknown": f"{command.partition(' ')[0]} is not installed"} for command in commands}


def mi300x8() -> dict[str, Json]:
    """Eight cards that all reach each other over Infinity Fabric, with the tool of ROCm 7."""
    places = [f"0000:{number:02x}:00.0" for number in (0x05, 0x26, 0x46, 0x65, 0x85, 0xA6, 0xC6, 0xE5)]
    files: dict[str, Json] = {
        f"{KFD}/{at}/properties": "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\n" for at in (0, 1)
    }
    links: dict[str, Json] = {}
    for at, place in enumerate(places):
        files |= bus(place, "1002", "74a1", "120000", at // 4)
        files |= _node(2 + at, int(place[5:7], 16) << 8, samples.AMD_KFD_MI300X["mem_banks/0/properties"])
        for peer in range(8):
            way, to = (11, 2 + peer) if peer != at else (2, at // 4)
            files[f"{KFD}/{2 + at}/io_links/{peer}/properties"] = (
                f"type {way}\nnode_from {2 + at}\nnode_to {to}\nweight 15\n"
            )
        folder = f"/sys/class/drm/card{1 + at}/device"
        links[folder] = f"../../../{place}"
        files |= {f"{folder}/vendor": "0x1002\n", f"{folder}/device": "0x74a1\n", f"{folder}/numa_node": f"{at // 4}\n"}
        files |= {f"{folder}/mem_info_vram_total": "206141652992\n", f"{folder}/mem_info_vram_used": "297078784\n"}
    cards: list[Json] = [
        {"gpu": at, "bus": {"bdf": place}, "asic": {"market_name": "AMD Instinct MI300X", "target_graphics_version": "gfx942"},
         "vram": {"type": "HBM", "size": {"value": 196592, "unit": "MB"}}}
        for at, place in enumerate(places)
    ]  # fmt: skip
    return machine(files, {STATIC: json.dumps({"gpu_data": cards}), **_missing(METRIC, LIST)}, links, ["kfd"])


def _node(number: int, location: int, bank: str) -> dict[str, Json]:
    properties = samples.AMD_KFD_MI300X["properties"].replace("location_id 1280", f"location_id {location}")
    properties = properties.replace("unique_id 2864457224837561596", f"unique_id {10**15 + number}")
    properties = properties.replace("hive_id 17778158520442550414", f"hive_id {10**15}")
    folder = f"{KFD}/{number}/"
    return {
        folder + "properties": properties,
        folder + "gpu_id": f"{28800 + number}\n",
        folder + "mem_banks/0/properties": bank,
    }


def mi300x_cpx() -> dict[str, Json]:
    """One card cut into eight devices, a program on the third, and no tool."""
    files: dict[str, Json] = {f"{KFD}/0/properties": "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\n"}
    files |= bus("0000:05:00.0", "1002", "74a1", "120000")
    for at in range(8):
        files |= _node(1 + at, 1280 + (at << 28), samples.AMD_CPX_BANK)
    files["/sys/class/kfd/kfd/proc/4711/vram_28803"] = f"{1 << 30}\n"
    folder = "/sys/class/drm/card1/device"
    files |= {f"{folder}/vendor": "0x1002\n", f"{folder}/device": "0x74a1\n", f"{folder}/numa_node": "0\n",
              f"{folder}/current_compute_partition": "CPX\n", f"{folder}/current_memory_partition": "NPS4\n"}  # fmt: skip
    return machine(files, _missing(STATIC, METRIC, LIST), {folder: "../../../0000:05:00.0"}, ["kfd"])


def ascend(info: str, places: Iterable[str], **more: str) -> dict[str, Json]:
    """Arm servers: their management shows a display controller of the same maker, which is no accelerator."""
    files = bus("0000:06:00.0", "19e5", "1711", "030000")
    for place in places:
        files |= bus(place, "19e5", "d802", "120000")
    commands = {
        "info": "npu-smi info",
        "mapping": "npu-smi info -m",
        "topo": "npu-smi info -t topo",
        "board": "npu-smi info -t board -i 0 -c 0",
    }
    told: dict[str, Json] = {commands["info"]: info} if info else _missing(commands["info"])
    told |= {commands[name]: text for name, text in more.items()}
    absent = [command for command in commands.values() if command not in told]
    return machine(files, told | _missing(*absent), arm=True, nodes=["davinci0", "davinci_manager"] if info else [])


def k100_ai() -> dict[str, Json]:
    files = bus("0000:33:00.0", "1d94", "6210", "0b4000") | bus("0000:36:00.0", "1d94", "6210", "0b4000")
    for at, number in ((4, 0x33), (5, 0x36)):
        files[f"{KFD}/{at}/properties"] = (
            f"simd_count 4\nvendor_id {0x1D94}\ndevice_id 25104\nlocation_id {number << 8}\ngfx_target_version 90208\n"
        )
        files[f"{KFD}/{at}/gpu_id"] = f"{at}00\n"
    tools: dict[str, Json] = {
        "hy-smi --showproductname --showbus --showmeminfo vram --json": samples.HYGON_HCU_MADE,
        "hy-smi --showmemavailable --json": samples.HYGON_AVAILABLE,
        "hy-smi --showtopo": samples.HYGON_TOPOLOGY_MADE,
    }
    return machine(files, tools, nodes=["kfd", "mkfd"])


def p800() -> dict[str, Json]:
    files = bus("0000:03:00.0", "1d22", "3688", "120000") | bus("0000:03:00.1", "1d22", "3688", "120000")
    links: dict[str, Json] = {"/sys/bus/pci/devices/0000:03:00.1/physfn": "../0000:03:00.0"}
    return machine(files, {"xpu-smi": samples.KUNLUN_P800, **_missing("xpu_smi")}, links, ["xpu0", "xpu1", "xpuctrl"])


def arc_b570() -> dict[str, Json]:
    """A card beside a processor with graphics."""
    files = bus("0000:00:02.0", "8086", "4680", "030000") | bus("0000:03:00.0", "8086", "e20c", "030000")
    tools: dict[str, Json] = {
        "xpu-smi": samples.INTEL_SUMMARY,
        "xpu-smi discovery -j": samples.INTEL_DISCOVERY_2,
        "xpu-smi discovery --dump 1,2,11,16": samples.INTEL_SIZES,
    }
    return machine(files, tools)


def intel_graphics() -> dict[str, Json]:
    """Processor graphics and a QuickAssist coprocessor: nothing that a tool would be started for."""
    return machine(bus("0000:00:02.0", "8086", "4680", "030000") | bus("0000:6b:00.0", "8086", "4940", "0b4000"), {})


def c550x2() -> dict[str, Json]:
    files = bus("0000:0f:00.0", "9999", "4001", "038000") | bus("0000:34:00.0", "9999", "4001", "038000")
    return machine(files, {"mx-smi": samples.METAX_C550}, nodes=["mxcd"])


def apple_m4_max() -> dict[str, Json]:
    """A Mac has neither /proc nor /sys, and no bus: the operating system is the sign."""
    kernel: dict[str, Json] = {
        "uname": json.dumps({"node": "composed", "release": "24.6.0", "machine": "arm64"}),
        "nodes": json.dumps({"system": "Darwin", "names": []}),
    }
    tools: dict[str, Json] = {
        "sysctl hw.memsize machdep.cpu.brand_string": samples.APPLE_M4_MAX,
        "sysctl iogpu.wired_limit_mb": "iogpu.wired_limit_mb: 0\n",
    }
    return {"files": {}, "links": {}, "unreadable": {}, "kernel": kernel, "tools": tools, "docker": None, "nvml": None}


def vendors() -> dict[str, dict[str, Json]]:
    """Every machine of this module by its name."""
    return {
        "mi300x8": mi300x8(),
        "mi300x-cpx": mi300x_cpx(),
        "ascend-910b4x2": ascend(samples.ASCEND_910B4, ("0000:c1:00.0", "0000:01:00.0")),
        "ascend-910c": ascend(
            samples.ASCEND_910C,
            ("0000:9d:00.0", "0000:9f:00.0", "0000:99:00.0", "0000:9b:00.0"),
            mapping=samples.ASCEND_910C_MAPPING,
            board=samples.ASCEND_910C_BOARD,
            topo=samples.ASCEND_910C_TOPOLOGY,
        ),
        "ascend-without-tool": ascend("", ("0000:c1:00.0",)),
        "k100-ai-x2": k100_ai(),
        "p800": p800(),
        "arc-b570": arc_b570(),
        "intel-graphics": intel_graphics(),
        "apple-m4-max": apple_m4_max(),
        "c550x2": c550x2(),
    }
