"""Macs: what `macos.py` holds, as the answers of one machine to all that is asked of it."""

import json

from provisioner.accelerators.apple import CHIP, LIMIT
from provisioner.facts import macos_network, macos_storage
from provisioner.facts._macos import MORE, SYSCTL
from provisioner.facts.macos_host import SW_VERS
from provisioner.facts.macos_memory import VM_STAT
from provisioner.world.scrub import Scrubber
from tests.machines import macos
from tests.machines.compose import Json

ELSEWHERE = {
    macos_storage.MOUNT: macos.MOUNT,
    macos_storage.DF: macos.DF,
    macos_storage.DISKS: macos.NVME,
    macos_network.IFCONFIG: macos.IFCONFIG,
    macos_network.PORTS: macos.PORTS,
}


def asked(dump: str, command: str) -> str:
    """What `sysctl` prints of a machine whose values these are: the names that it is given, and all that lies below them."""
    values = dict(line.split(": ", 1) for line in dump.splitlines())
    found = [name for word in command.split()[1:] for name in values if f"{name}.".startswith(f"{word}.")]
    return "".join(f"{name}: {values[name]}\n" for name in found)


def vm_stat(gib: int, held_gib: int) -> str:
    """Composed: a Mac on which nothing runs but the system, and the rest holds files or nothing."""
    pages, held = gib << 16, held_gib << 16
    rows = {
        "Pages free": pages // 8,
        "Pages wired down": held // 2,
        "Pages purgeable": 0,
        "File-backed pages": pages - held - pages // 8,
        "Anonymous pages": held - held // 2,
        "Pages occupied by compressor": 0,
    }
    lines = "".join(f"{name}:{f'{count}.':>{44 - len(name)}}\n" for name, count in rows.items())
    return f"Mach Virtual Memory Statistics: (page size of 16384 bytes)\n{lines}"


def tools(dump: str, memory: str, sw_vers: str = macos.SW_VERS, limit: int = 0) -> dict[str, Json]:
    return {
        CHIP: asked(dump, CHIP),
        LIMIT: f"iogpu.wired_limit_mb: {limit}\n",
        SYSCTL: asked(dump, SYSCTL),
        MORE: asked(dump, MORE),
        VM_STAT: memory,
        SW_VERS: sw_vers,
        **ELSEWHERE,
    }


def machine(told: dict[str, Json], darwin: str = "24.3.0", machine: str = "arm64") -> dict[str, Json]:
    runtime: Json = {"python": "/opt/homebrew/bin/python3", "version": "3.12.8", "embedded": None, "backends": []}
    kernel: dict[str, Json] = {
        "nodes": json.dumps({"system": "Darwin", "names": []}),
        "uname": json.dumps({"node": "composed", "release": darwin, "machine": machine}),
        "user": json.dumps({"uid": 501, "manager": False}),
        "clock": json.dumps({"unix": 1800000000}),
        "runtime": json.dumps(runtime),
    }
    return {"files": {}, "links": {}, "unreadable": {}, "kernel": kernel, "tools": told, "docker": None, "nvml": None}


def macs() -> dict[str, dict[str, Json]]:
    """Every one by its name, as its owner would record it: the names of people and places are taken out."""
    raw = {
        "apple-m1-16g": machine(tools(macos.M1, macos.VM_STAT_16G, macos.SW_VERS_12), "21.2.0"),
        "apple-m4-max-64g": machine(tools(macos.M4_MAX, vm_stat(64, 6))),
        "apple-m3-ultra-512g": machine(tools(macos.M3_ULTRA, vm_stat(512, 6))),
        "apple-intel-32g": machine(tools(macos.INTEL_MAC, macos.VM_STAT_INTEL), "19.6.0", "x86_64"),
    }
    return {name: {**one, "tools": scrubbed(one["tools"])} for name, one in raw.items()}


def scrubbed(tools: Json) -> dict[str, Json]:
    scrub = Scrubber("")
    assert isinstance(tools, dict)
    return {command: str(scrub.tool(command, str(text))) for command, text in tools.items()}
