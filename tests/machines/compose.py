"""Machines with accelerators, composed from published values: each stands until somebody records a real one.

Run `python -m tests.machines.compose` to write them; a test holds the files against this module.

Memory sizes, names and compute capabilities are those of `profiles/accelerators` (the driver's totals); PCI ids are of
the PCI ID database; processors, disks and the rest are those of a common server, and stand for nothing in particular.
"""

import json
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
FOLDER = Path(__file__).parent
FLAGS = "fpu sse4_2 ssse3 avx avx2 fma f16c bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni avx512_bf16"
DRIVER = "580.95.05"

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def server(sockets: int, cores: int, memory_gib: int) -> dict[str, Json]:
    """A server without an accelerator: one NUMA node a socket, two threads a core."""
    half = sockets * cores
    files: dict[str, Json] = {
        "/etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\n',
        "/proc/cpuinfo": "".join(_processor(number) for number in range(2 * half)),
        "/proc/meminfo": f"MemTotal: {memory_gib * MIB} kB\nMemFree: {memory_gib * MIB * 9 // 10} kB\n"
        f"MemAvailable: {memory_gib * MIB * 19 // 20} kB\nSwapTotal: 0 kB\n",
        "/proc/self/status": f"Cpus_allowed_list:\t0-{2 * half - 1}\n",
        "/proc/self/cgroup": "0::/user.slice\n",
        "/proc/self/limits": "Max open files            1024                 1048576              files     \n",
        "/proc/self/mountinfo": "24 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw\n",
        "/run/systemd/timesync/synchronized": "",
        "/sys/block/nvme0n1/size": f"{1920383410176 // 512}\n",
        "/sys/block/nvme0n1/queue/rotational": "0\n",
        "/sys/block/nvme0n1/removable": "0\n",
        "/sys/block/nvme0n1/device/model": "SAMSUNG MZQL21T9HCJR-00A07\n",
        "/sys/class/net/eth0/type": "1\n",
        "/sys/class/net/eth0/operstate": "up\n",
        "/sys/class/net/eth0/speed": "25000\n",
        "/sys/class/net/eth0/mtu": "1500\n",
        "/sys/devices/system/cpu/online": f"0-{2 * half - 1}\n",
        "/sys/devices/system/cpu/present": f"0-{2 * half - 1}\n",
        "/sys/devices/system/cpu/possible": f"0-{2 * half - 1}\n",
        "/sys/class/dmi/id/sys_vendor": "Composed\n",
        "/sys/class/dmi/id/product_name": "Server\n",
    }
    for cpu in range(2 * half):
        core, socket = cpu % half, cpu % half // cores
        folder = f"/sys/devices/system/cpu/cpu{cpu}/topology/"
        files[folder + "thread_siblings"] = _mask([core, core + half])
        files[folder + "core_siblings"] = _mask(_cpus(socket, cores, half))
    for socket in range(sockets):
        folder = f"/sys/devices/system/node/node{socket}/"
        share = memory_gib * MIB // sockets
        files[folder + "cpumap"] = _mask(_cpus(socket, cores, half))
        files[folder + "distance"] = " ".join("10" if each == socket else "32" for each in range(sockets)) + "\n"
        files[folder + "meminfo"] = f"Node {socket} MemTotal: {share} kB\nNode {socket} MemFree: {share * 9 // 10} kB\n"
    space = {"total": 1881 * GIB, "free": 1700 * GIB, "inodes": 125000000, "free_inodes": 124000000}
    runtime: dict[str, Json] = {"python": "/usr/bin/python3", "version": "3.12.3", "embedded": None, "backends": []}
    return {
        "files": files,
        "links": {
            "/sys/block/nvme0n1": "../devices/pci0000:00/0000:00:01.1/0000:01:00.0/nvme/nvme0/nvme0n1",
            "/sys/class/net/eth0/device": "../../../0000:02:00.0",
        },
        "unreadable": {"/run/systemd/system": "Is a directory", "/run/systemd/timesync": "Is a directory"},
        "kernel": {
            "uname": json.dumps({"node": "composed", "release": "6.8.0-87-generic", "machine": "x86_64"}),
            "user": json.dumps({"uid": 0, "manager": False}),
            "clock": json.dumps({"unix": 1760000000}),
            "runtime": json.dumps(runtime),
            "statvfs:/": json.dumps(space),
        },
        "docker": None,
        "nvml": None,
    }


def _processor(number: int) -> str:
    return (
        f"processor\t: {number}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9354 32-Core Processor\n"
        f"flags\t\t: {FLAGS if number == 0 else ''}\n\n"
    )


def _cpus(socket: int, cores: int, half: int) -> list[int]:
    first = [socket * cores + core for core in range(cores)]
    return first + [core + half for core in first]


def _mask(cpus: list[int]) -> str:
    digits = f"{sum(1 << cpu for cpu in cpus):x}"
    padded = digits.zfill(-(-len(digits) // 8) * 8)
    return ",".join(padded[at : at + 8] for at in range(0, len(padded), 8)) + "\n"


def card(index: int, device: str, node: int) -> dict[str, Json]:
    """A card as the bus shows it."""
    folder = f"/sys/bus/pci/devices/{_address(index)}/"
    return {
        folder + "class": "0x030200\n",
        folder + "vendor": "0x10de\n",
        folder + "device": f"0x{device}\n",
        folder + "numa_node": f"{node}\n",
    }


def _address(index: int) -> str:
    return f"0000:{0x17 + 0x10 * index:02x}:00.0"


def answers(index: int, name: str, memory_mib: int, capability: tuple[int, int], **more: Json) -> dict[str, Json]:
    """A card as NVML tells of it: idle, healthy, and in persistence mode."""
    return {
        "index": index,
        "name": name,
        "uuid": f"GPU-00000000-0000-0000-0000-{index + 1:012x}",
        "pci": f"0000{_address(index).upper()}",
        "memory": {"total": memory_mib * MIB, "free": (memory_mib - 600) * MIB},
        "compute_capability": [*capability],
        "pcie_generation": 5,
        "pcie_width": 16,
        "pcie_max_generation": 5,
        "pcie_max_width": 16,
        "ecc": [1, 1],
        "ecc_errors": 0,
        "remapped_rows": [0, 0, 0, 0],
        "persistence": 1,
        "mig": {"mode": [0, 0], "instances": []},
        "processes": [],
        "nvlinks": [],
        "peers": [],
        **more,
    }


def with_cards(machine: dict[str, Json], device: str, cards: list[dict[str, Json]]) -> dict[str, Json]:
    """The server with these cards in it, and the driver loaded."""
    files, links = machine["files"], machine["links"]
    assert isinstance(files, dict)
    assert isinstance(links, dict)
    nodes = sum(key.endswith("/distance") for key in files)
    for index in range(len(cards)):
        files.update(card(index, device, index * nodes // len(cards)))
        links[f"/sys/bus/pci/devices/{_address(index)}/driver"] = "../../../bus/pci/drivers/nvidia"
    files["/proc/driver/nvidia/version"] = (
        f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {DRIVER}  Release Build\nGCC version: gcc 13.3.0\n"
    )
    return {**machine, "nvml": {"driver": DRIVER, "cuda": 13000, "devices": [*cards]}}


def h200x8() -> dict[str, Json]:
    """Eight cards behind NVSwitch, four a socket."""
    switched: list[Json] = [{"link": lane, "remote": None, "kind": 2} for lane in range(18)]
    cards = []
    for index in range(8):
        peers: list[Json] = [
            {"index": other, "ancestor": 40 if other // 4 == index // 4 else 50, "read": 0}
            for other in range(8)
            if other != index
        ]
        cards.append(answers(index, "NVIDIA H200", 143771, (9, 0), nvlinks=switched, peers=peers))
    return with_cards(server(2, 32, 2048), "2335", cards)


def rtx4090x1() -> dict[str, Json]:
    refused: Json = {"unknown": "Not Supported"}
    mine = answers(
        0, "NVIDIA GeForce RTX 4090", 24564, (8, 9), ecc=[0, 0], ecc_errors=refused, remapped_rows=refused, mig=refused
    )
    slower = mine | {"pcie_generation": 4, "pcie_max_generation": 4, "pcie_width": 8, "persistence": 0}
    return with_cards(server(1, 16, 128), "2684", [slower])


def broken_driver() -> dict[str, Json]:
    """The kernel module was updated, and the machine not started anew."""
    machine = with_cards(server(1, 32, 256), "2330", [answers(0, "", 1, (9, 0))])
    reason = f"NVML: Driver/library version mismatch ({DRIVER} loaded, 575.51.03 in user space)"
    return {**machine, "nvml": {"unknown": reason}}


def gpu_without_driver() -> dict[str, Json]:
    machine = server(1, 32, 256)
    files = machine["files"]
    assert isinstance(files, dict)
    files.update(card(0, "2330", 0))
    reason = "an NVIDIA device is on the PCI bus, but the nvidia kernel module is not loaded"
    return {**machine, "nvml": {"unknown": reason}}


def composed() -> dict[str, dict[str, Json]]:
    """Every machine by its name: NVIDIA's of this module, the other makers' of `vendors.py`, Macs of `macs.py`."""
    from tests.machines.macs import macs
    from tests.machines.vendors import vendors

    machines = {
        "h100x1": with_cards(server(1, 32, 256), "2330", [answers(0, "NVIDIA H100 80GB HBM3", 81559, (9, 0))]),
        "h200x8": h200x8(),
        "rtx4090x1": rtx4090x1(),
        "broken-driver": broken_driver(),
        "gpu-without-driver": gpu_without_driver(),
        **vendors(),
        **macs(),
    }
    about: Json = {"origin": "composed from published values, not recorded", "licence": "Apache-2.0"}
    return {name: {"about": about, **machine} for name, machine in machines.items()}


def text(machine: dict[str, Json]) -> str:
    return json.dumps(machine, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, machine in composed().items():
        (FOLDER / f"{name}.json").write_text(text(machine), encoding="utf-8")
