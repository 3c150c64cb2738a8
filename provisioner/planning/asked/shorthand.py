"""A machine described in one line: `8x RTX 4090, 2 sockets, 128 cores, 512 GiB, 2 nodes, nvlink=no`."""

from collections.abc import Iterator

from provisioner.catalog import Catalog, nearest
from provisioner.errors import BadInput
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import (
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
from provisioner.model.record import dataclass, field, replace
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.asked.counting import NODES, Counted, counted
from provisioner.planning.asked.devices import named, plain
from provisioner.planning.asked.dimms import Dimms, heard, made_of

NOT_STATED = Unknown("not stated in the description of the machine")
EXAMPLE = '`--hardware "2x RTX 4090, 2 sockets, 64 cores, 256 GiB, nvlink=no"`'

MOST = {"sockets": 64, "cores": 8192, "threads": 8192, "nodes": 10_000}
MOST_CARDS = 64
MOST_BYTES = 1 << 50
"""Above what any machine has: a larger number is a slip of the hand, and would be planned for in earnest."""

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


def machine_from_text(text: str, catalog: Catalog) -> HostFacts:
    """The machine that this line describes; `BadInput` names the part that was not understood."""
    said = Said()
    for part in (part.strip() for part in text.replace(";", ",").split(",")):
        if part:
            said = hear(said, part, catalog)
    if said == Said():
        raise BadInput(f"`{text}` describes no machine", fix=EXAMPLE)
    return _facts(said)


def hear(said: Said, part: str, catalog: Catalog) -> Said:
    """What one part of the line adds to what was said before."""
    words = part.lower()
    if "=" in words:
        return _hear_setting(said, part)
    if words in ("no gpu", "no gpus", "no accelerator", "cpu only", "0 gpus"):
        return replace(said, no_cards=True)
    dimms, rest = heard(said.dimms, words)
    if rest != words:
        said = replace(said, dimms=dimms)
        return hear(said, rest, catalog) if rest else said
    number, unit = _number_and_unit(words)
    field = UNITS.get(unit)
    if number is not None and field is not None:
        if not 1 <= number <= MOST[field] or number != int(number):
            raise BadInput(f"--hardware: `{part[:40]}`: expected a whole number from 1 to {MOST[field]}", fix=EXAMPLE)
        return _counted(said, field, int(number))
    factor = _memory_factor(unit)
    if number is not None and factor is not None:
        if not 0 < number * factor <= MOST_BYTES:
            raise BadInput(f"--hardware: `{part[:40]}`: no machine has that much or that little", fix=EXAMPLE)
        count = int(number * factor)
        if any(word in unit for word in ("disk", "ssd", "nvme")):
            return replace(said, disk_bytes=count)
        return replace(said, memory_bytes=count)
    found = counted(part)
    said = said if found.nodes is None else hear(said, f"{found.nodes} nodes", catalog)
    return replace(said, cards=(*said.cards, _cards(part, found, catalog)))


UNITS = {
    "socket": "sockets", "sockets": "sockets", "cpu": "sockets", "cpus": "sockets",
    "core": "cores", "cores": "cores", "thread": "threads", "threads": "threads",
    **dict.fromkeys(NODES, "nodes"),
}  # fmt: skip

MEMORY = {"gib": GIB, "gb": GIB, "g": GIB, "tib": 1 << 40, "tb": 1 << 40, "t": 1 << 40, "mib": 1 << 20}
"""People say GB of memory and mean GiB."""


def _counted(said: Said, field: str, count: int) -> Said:
    known = {
        "sockets": replace(said, sockets=count), "cores": replace(said, cores=count),
        "threads": replace(said, threads=count), "nodes": replace(said, nodes=count),
    }  # fmt: skip
    return known[field]


def _memory_factor(unit: str) -> int | None:
    first, *rest = unit.split() or [""]
    allowed = {"ram", "memory", "disk", "ssd", "nvme", "free", "of"}
    return MEMORY.get(first) if set(rest) <= allowed else None


def _number_and_unit(words: str) -> tuple[float | None, str]:
    digits = 0
    while digits < len(words) and words[digits] in "0123456789.":
        digits += 1
    try:
        return float(words[:digits]), words[digits:].strip()
    except ValueError:
        return None, words


def _hear_setting(said: Said, part: str) -> Said:
    key, _, value = (word.strip().lower() for word in part.partition("="))
    if key != "nvlink" or value not in ("yes", "no"):
        raise BadInput(f"--hardware: `{part}` was not understood", fix="`nvlink=yes` or `nvlink=no`")
    return replace(said, nvlink=value == "yes")


def _cards(part: str, words: Counted, catalog: Catalog) -> tuple[AcceleratorEntry, int]:
    count, name = words.count, words.name
    found = [catalog.accelerator(key) for key in named(catalog, name)]
    if not found:
        near = _near(name, catalog)
        raise BadInput(f"--hardware: `{name[:40]}` is no known accelerator",
                       fix=f"did you mean {' or '.join(f'`{word}`' for word in near)}?")  # fmt: skip
    if len(found) > 1 and len({(entry.name, entry.memory_bytes) for entry in found}) > 1:
        found = _plainest(found, name)
    if not 1 <= count <= MOST_CARDS:
        raise BadInput(f"--hardware: `{part[:40]}`: expected a count from 1 to {MOST_CARDS}", fix=EXAMPLE)
    if found[0].shares_host_memory and count > 1:
        raise BadInput(f"--hardware: `{part[:40]}`: this one shares the memory of its machine, and is alone there",
                       fix=f'`--hardware "1x {name}, {count} nodes"`')  # fmt: skip
    return found[0], count


def _plainest(found: list[AcceleratorEntry], name: str) -> list[AcceleratorEntry]:
    """Of several that the words fit, the one whose driver name they are; else the person has to say which."""
    exact = [entry for entry in found if plain(entry.name).endswith(plain(name)) and not entry.id.endswith("mod")]
    if len(exact) == 1:
        return exact
    raise BadInput(f"--hardware: `{name}` may be {', '.join(entry.id for entry in found)}", fix="name one of them")


def _near(name: str, catalog: Catalog) -> tuple[str, ...]:
    near = nearest(name.replace(" ", ""), catalog.accelerators)
    return near or tuple(catalog.accelerators)[:3]


def _facts(said: Said) -> HostFacts:
    cards = tuple(cards_of(said))
    vendors: dict[str, tuple[Accelerator, ...] | Unknown] = {"nvidia": ()}
    for card in cards:
        vendors[card.vendor] = tuple(other for other in cards if other.vendor == card.vendor)
    return HostFacts(
        host=Host(_name(said), "Linux", "not stated", _processor(said), None, None, None),
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
