"""A machine that is described and not there: what is said of it, and what is taken as enough."""

from collections.abc import Iterator

from provisioner.catalog import find
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import (
    SYSTEM_NAMES,
    Accelerator,
    Cpu,
    Filesystem,
    Host,
    HostFacts,
    Limits,
    Link,
    Memory,
    NumaNode,
    Runtime,
    Software,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, field, replace
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.asked.dimms import Dimms, made_of

NOT_STATED = Unknown("not stated in the description of the machine")

ENOUGH_CORES = 16
ENOUGH_MEMORY = 64 * GIB
ENOUGH_DISK = 16 << 40
"""What is taken for granted where nothing is said; beside accelerators at least twice their memory is."""

HOST_FREE = 0.95
HOST_USED = 4 * GIB
"""A system that runs nothing else leaves so much of the host's memory free, and uses no more than this of a large one."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the line says; None for what it leaves out. Counts are per node."""

    cards: tuple[tuple[AcceleratorEntry, int], ...] = ()
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    nodes: int | None = None
    nvlink: bool | None = None
    no_cards: bool = False
    dimms: Dimms = field(default_factory=Dimms)


def facts_of(said: Said) -> HostFacts:
    cards = tuple(cards_of(said))
    vendors: dict[str, tuple[Accelerator, ...] | Unknown] = {"nvidia": ()}
    for card in cards:
        vendors[card.vendor] = tuple(other for other in cards if other.vendor == card.vendor)
    return HostFacts(
        host=_host(said),
        cpu=_cpu(said),
        numa=_numa(said),
        memory=made_of(_memory(said), said.dimms, said.sockets or 1),
        limits=Limits(None, None, None, None, None, None),
        disks=(),
        filesystems=(Filesystem("/", "disk", "ext4", _disk(said), _disk(said), None, read_only=False),),
        network=(),
        rdma=(),
        pci=(),
        accelerators=vendors,
        software=_software(),
        sources=dict.fromkeys(("cpu", "memory", "accelerators"), "--hardware"),
        assumed=tuple(_assumed(said)),
        nodes=said.nodes or 1,
    )


def _host(said: Said) -> Host:
    """With the system that its cards come with."""
    told = Host(_name(said), "Linux", "not stated", _processor(said), None, None, None)
    makers = (
        find("provisioner.accelerators", "VENDOR", entry.vendor) for entry, _ in said.cards if entry.shares_host_memory
    )
    system = next((maker.system for maker in makers if isinstance(maker, Vendor) and maker.system), "")
    return replace(told, os=SYSTEM_NAMES.get(system, system), system=system) if system else told


def _processor(said: Said) -> str:
    """A card that shares its memory is in one package with processors of its maker's choice."""
    return "not stated" if any(entry.shares_host_memory for entry, _ in said.cards) else "x86_64"


def _name(said: Said) -> str:
    return f"described machine (one of {said.nodes} alike)" if (said.nodes or 1) > 1 else "described machine"


def cards_of(said: Said) -> Iterator[Accelerator]:
    index = 0
    total = sum(count for _, count in said.cards)
    for entry, count in said.cards:
        for _ in range(count):
            yield _card(entry, index, tuple(_links(said, index, total)))
            index += 1


def _links(said: Said, index: int, total: int) -> Iterator[Link]:
    for other in range(total):
        if other != index:
            kind, hops = ("nvlink", "NV") if said.nvlink else ("pcie", "PHB")
            yield Link(other, kind, hops, None, None)


def _card(entry: AcceleratorEntry, index: int, links: tuple[Link, ...]) -> Accelerator:
    memory: int | Unknown = entry.memory_bytes or NOT_STATED
    free: int | Unknown = entry.usable_bytes or memory
    if entry.shares_host_memory:
        memory = free = Unknown(f"{entry.name} shares the host's memory")
    return Accelerator(
        vendor=entry.vendor, name=entry.name, uuid=f"described-{index}", index=index,
        memory_bytes=memory, free_bytes=free, compute_capability=entry.compute_capability,
        numa_node=None, pci="", links=links, processes=(), pcie_generation=None, pcie_width=None,
        pcie_max_generation=None, pcie_max_width=None, ecc=None, ecc_errors=None, row_remap=None,
        mig=None, persistence=None, problem=None, shares_host_memory=entry.shares_host_memory,
    )  # fmt: skip


def _cpu(said: Said) -> Cpu:
    cores = said.cores or (said.threads or 0) or ENOUGH_CORES * (said.sockets or 1)
    threads = max(said.threads or cores, cores)
    online = f"0-{threads - 1}"
    return Cpu("not stated", "not stated", said.sockets or 1, cores, threads, online, "", online, (), {}, None)


def _numa(said: Said) -> tuple[NumaNode, ...]:
    """One node for each socket, as most servers are set up."""
    sockets, cpu = said.sockets or 1, _cpu(said)
    share = max(1, cpu.threads // sockets)
    memory = memory_of(said) // sockets
    return tuple(
        NumaNode(node, f"{node * share}-{(node + 1) * share - 1}", memory, None,
                 tuple(10 if node == other else 21 for other in range(sockets)))
        for node in range(sockets)
    )  # fmt: skip


def free_of(total: int) -> int:
    """Of a host that runs nothing else."""
    return max(int(total * HOST_FREE), total - HOST_USED)


def memory_of(said: Said) -> int:
    if said.memory_bytes is not None:
        return said.memory_bytes
    shared = [entry.usable_bytes for entry, _ in said.cards if entry.shares_host_memory and entry.usable_bytes]
    if shared:
        return shared[0]
    cards = sum((entry.memory_bytes or 0) * count for entry, count in said.cards)
    return max(ENOUGH_MEMORY, 2 * cards)


def _memory(said: Said) -> Memory:
    return Memory(memory_of(said), free_of(memory_of(said)), 0, (), None, NOT_STATED, None)


def _disk(said: Said) -> int:
    return said.disk_bytes or ENOUGH_DISK


def _software() -> Software:
    return Software(
        runtime=Runtime("python3", "3.11", "xllamacpp", ("cpu",)), nvidia_driver=NOT_STATED, cuda=NOT_STATED,
        docker=NOT_STATED, container_toolkit=NOT_STATED, kubernetes=NOT_STATED, systemd=NOT_STATED,
        systemd_user=False, secure_boot=NOT_STATED, clock_unix=NOT_STATED, clock_synchronised=NOT_STATED,
    )  # fmt: skip


def _assumed(said: Said) -> Iterator[str]:
    if said.sockets is None:
        yield "cpu.sockets"
    if said.cores is None and said.threads is None:
        yield "cpu.cores"
    if said.memory_bytes is None:
        yield "memory.total_bytes"
    if said.disk_bytes is None:
        yield "filesystems"
    if sum(count for _, count in said.cards) > 1 and said.nvlink is None:
        yield "accelerators.links"
    if (said.nodes or 1) > 1:
        yield "network"
    yield "software.runtime"
