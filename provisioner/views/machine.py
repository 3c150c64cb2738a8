"""A machine: on a few lines for a plan, in full for `detect`."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from provisioner.model.facts import Accelerator, Cpu, HostFacts, PciDevice, Unknown
from provisioner.views.layout import Look, count, harmless, size, table, wrapped

T = TypeVar("T")
ENGINE_FLAGS = (
    ("avx2", "AVX2"),
    ("avx512f", "AVX-512"),
    ("avx512_vnni", "VNNI"),
    ("avx_vnni", "VNNI"),
    ("avx512_bf16", "BF16"),
    ("amx_tile", "AMX"),
    ("asimd", "NEON"),
    ("sve", "SVE"),
)
"""The instruction sets that decide how fast an engine runs on processors, by the kernel's names."""

LINKS = {"nvlink": "NVLink", "xgmi": "Infinity Fabric", "hccs": "HCCS"}
"""Ways between devices that are not PCIe, by their makers' names."""

WORTH_SHOWING_BYTES = 2**30
"""A file system below this holds no weights; the JSON lists it all the same."""


def machine_lines(facts: HostFacts, look: Look) -> list[str]:
    """What matters for a plan."""
    rows = [
        ("processor", said(facts.cpu, cpu_words)),
        ("memory", memory_words(facts)),
        ("accelerators", accelerator_words(facts)),
    ]
    limits = limit_words(facts)
    if limits:
        rows.insert(2, ("limits", limits))
    if facts.assumed:
        rows.append(("assumed", f"enough of what was not said: {', '.join(facts.assumed)}"))
    heading = [look.paint(line, "bold") for line in wrapped(title(facts), look.width)]
    return [*heading, *table([(look.paint(name, "dim"), words) for name, words in rows], look)]


def title(facts: HostFacts) -> str:
    if isinstance(facts.host, Unknown):
        return "A machine of unknown name"
    host = facts.host
    parts = (
        host.hostname,
        host.os,
        f"kernel {host.kernel}" if host.kernel else "",
        host.architecture,
        host.virtualization or "",
    )
    return harmless(" · ".join(part for part in parts if part))


def said(fact: T | Unknown, words: Callable[[T], str]) -> str:
    """A fact in words; one that is not known says why."""
    return harmless(f"unknown: {fact.reason}" if isinstance(fact, Unknown) else words(fact))


def cpu_words(cpu: Cpu) -> str:
    parts = [cpu.model or cpu.vendor or "unnamed", count(cpu.sockets, "socket"), count(cpu.cores, "core")]
    if cpu.threads != cpu.cores:
        parts.append(count(cpu.threads, "thread"))
    names = dict.fromkeys(name for flag, name in ENGINE_FLAGS if flag in cpu.flags)
    return ", ".join([*parts, " ".join(names)] if names else parts)


def memory_words(facts: HostFacts) -> str:
    if isinstance(facts.memory, Unknown):
        return said(facts.memory, str)
    parts = [f"{size(facts.memory.total_bytes)}, {size(facts.memory.available_bytes)} available"]
    if not isinstance(facts.numa, Unknown) and len(facts.numa) > 1:
        parts.append(count(len(facts.numa), "NUMA node"))
    if not isinstance(facts.memory.channels, Unknown):
        parts.append(count(facts.memory.channels, "channel"))
    return ", ".join(parts)


def limit_words(facts: HostFacts) -> str:
    """What this process may use, where that is less than the machine has."""
    if isinstance(facts.limits, Unknown):
        return ""
    limits, parts = facts.limits, []
    threads = None if isinstance(facts.cpu, Unknown) else facts.cpu.threads
    installed = None if isinstance(facts.memory, Unknown) else facts.memory.total_bytes
    if limits.cpus is not None and (threads is None or limits.cpus < threads):
        parts.append(f"{limits.cpus:g} CPUs")
    if limits.memory_bytes is not None and (installed is None or limits.memory_bytes < installed):
        parts.append(size(limits.memory_bytes))
    return " and ".join(parts) + " of it may be used here" if parts else ""


def accelerator_words(facts: HostFacts) -> str:
    parts = list(_accelerators(facts))
    if not isinstance(facts.pci, Unknown):
        named = {
            accelerator.pci
            for devices in facts.accelerators.values()
            if not isinstance(devices, Unknown)
            for accelerator in devices
        }
        parts += _without_driver(
            device for device in facts.pci if device.address not in named and is_accelerator(device)
        )
    return harmless("; ".join(parts)) or "none"


def _accelerators(facts: HostFacts) -> Iterator[str]:
    for vendor, devices in sorted(facts.accelerators.items(), key=lambda each: (isinstance(each[1], Unknown), each[0])):
        if isinstance(devices, Unknown):
            yield f"{vendor}: unknown: {devices.reason}"
            continue
        alike: dict[tuple[str, str], int] = {}
        for device in devices:
            key = device.name, _memory_of(device)
            alike[key] = alike.get(key, 0) + 1
        for (name, memory), amount in alike.items():
            each = " each" if amount > 1 and memory[0].isdigit() else ""
            yield f"{amount} × {name}, {memory}{each}"
        told = facts.software.nvidia_driver if vendor == "nvidia" else devices[0].driver if devices else None
        if devices and isinstance(told, str):
            yield f"driver {told}"


def _memory_of(device: Accelerator) -> str:
    if isinstance(device.memory_bytes, Unknown):
        return "shares the host's memory" if device.shares_host_memory else "memory unknown"
    return size(device.memory_bytes)


def is_accelerator(device: PciDevice) -> bool:
    """A 3D controller or processing accelerator, or a display controller of a maker of accelerators."""
    return device.class_id.removeprefix("0x").startswith(("0302", "12")) or device.vendor_id.removeprefix("0x") in (
        "10de",
        "1002",
        "1d94",
    )


def _without_driver(devices: Iterable[PciDevice]) -> list[str]:
    return [
        f"{device.name or f'{device.vendor_id}:{device.device_id}'} at {device.address}, "
        + (f"driver {device.driver}" if device.driver else "no driver in use")
        for device in devices
    ]


def machine_view(facts: HostFacts, look: Look) -> str:
    """Everything that a person asks first; the JSON holds all of it."""
    lines = machine_lines(facts, look)
    for heading, rows in (
        ("NUMA nodes", _numa_rows(facts)),
        ("Accelerators", list(_device_rows(facts))),
        ("Storage", _storage_rows(facts)),
        ("Network", _network_rows(facts)),
        ("Software", _software_rows(facts)),
        ("Unknown", _unknown_rows(facts)),
    ):
        if rows:
            lines += ["", look.paint(heading, "bold"), *table(rows, look)]
    return "\n".join(lines)


def _numa_rows(facts: HostFacts) -> list[tuple[str, ...]]:
    if isinstance(facts.numa, Unknown) or len(facts.numa) < 2:
        return []
    return [
        (
            f"node {node.node}",
            f"CPUs {node.cpus}" if node.cpus else "no CPUs",
            size(node.memory_bytes),
            f"distances {' '.join(map(str, node.distances))}",
        )
        for node in facts.numa
    ]


def _device_rows(facts: HostFacts) -> Iterator[tuple[str, ...]]:
    for _, devices in sorted(facts.accelerators.items()):
        for device in () if isinstance(devices, Unknown) else devices:
            yield (
                str(device.index),
                harmless(device.name),
                _free_words(device),
                harmless("; ".join(_device_words(device))),
            )


def _free_words(device: Accelerator) -> str:
    if isinstance(device.memory_bytes, Unknown):
        return "memory unknown"
    free = "" if isinstance(device.free_bytes, Unknown) else f"{size(device.free_bytes)} free of "
    return f"{free}{size(device.memory_bytes)}"


def _device_words(device: Accelerator) -> Iterator[str]:
    if device.problem:
        yield device.problem
    if device.compute_capability or device.architecture:
        yield f"compute {device.compute_capability or device.architecture}"
    if device.part_of:
        yield f"part of {device.part_of}"
    if device.shares_host_memory:
        yield "shares the host's memory"
    if device.pcie_generation and device.pcie_width:
        yield f"PCIe {device.pcie_generation}.0 x{device.pcie_width}"
    if device.numa_node is not None:
        yield f"NUMA node {device.numa_node}"
    for kind, name in LINKS.items():
        peers = {link.to for link in device.links if link.kind == kind}
        if peers:
            yield f"{name} to {', '.join(map(str, sorted(peers)))}"
    if not isinstance(device.processes, Unknown) and device.processes:
        yield "held by " + ", ".join(f"{holder.name or 'a process'} ({holder.pid})" for holder in device.processes)


def _storage_rows(facts: HostFacts) -> list[tuple[str, ...]]:
    if isinstance(facts.filesystems, Unknown):
        return []
    return [
        (
            harmless(one.mount),
            one.type,
            f"{size(one.free_bytes)} free of {size(one.total_bytes)}",
            "read-only" if one.read_only else harmless(one.device),
        )
        for one in facts.filesystems
        if one.total_bytes >= WORTH_SHOWING_BYTES
    ]


def _network_rows(facts: HostFacts) -> list[tuple[str, ...]]:
    if isinstance(facts.network, Unknown):
        return []
    return [
        (
            one.name,
            one.kind,
            "up" if one.up else "down",
            f"{one.speed_mbps:,} Mbit/s" if one.speed_mbps else "speed not told",
        )
        for one in facts.network
        if one.kind not in ("virtual", "loopback")
    ]


def _software_rows(facts: HostFacts) -> list[tuple[str, ...]]:
    software = facts.software
    docker = software.docker if not isinstance(software.docker, Unknown) else None
    runtime = software.runtime if not isinstance(software.runtime, Unknown) else None
    rows = (
        ("Python", runtime.version if runtime else None),
        ("embedded engine", f"llama.cpp ({runtime.embedded})" if runtime and runtime.embedded else None),
        ("NVIDIA driver", software.nvidia_driver),
        ("CUDA", software.cuda),
        ("Docker", f"{docker.version}, runtimes {', '.join(docker.runtimes)}" if docker else None),
        ("container toolkit", software.container_toolkit),
        ("Kubernetes", software.kubernetes),
        ("systemd", software.systemd),
    )
    return [(name, harmless(value)) for name, value in rows if isinstance(value, str)]


def _unknown_rows(facts: HostFacts) -> list[tuple[str, ...]]:
    named = [
        (name, getattr(facts, name))
        for name in ("host", "cpu", "numa", "memory", "limits", "disks", "filesystems", "network", "rdma", "pci")
    ]
    named += sorted(facts.accelerators.items())
    named += [
        (name, getattr(facts.software, name))
        for name in ("runtime", "nvidia_driver", "docker", "kubernetes", "systemd", "secure_boot")
    ]
    return [(name.replace("_", " "), harmless(value.reason)) for name, value in named if isinstance(value, Unknown)]
