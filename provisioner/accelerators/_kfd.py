"""The compute devices of AMD's kernel driver, and of Hygon's, which is made from it: `/sys/class/kfd`."""

from collections.abc import Iterator, Mapping

from provisioner.accelerators._reading import LARGEST
from provisioner.model.answers import names, pairs, text
from provisioner.model.facts import Answers, Link, Unknown
from provisioner.model.record import dataclass

ROOT = "/sys/class/kfd/kfd/topology/nodes"
PROCESSES = "/sys/class/kfd/kfd/proc"
FILES = (
    f"{ROOT}/*/properties",
    f"{ROOT}/*/gpu_id",
    f"{ROOT}/*/mem_banks/*/properties",
    f"{ROOT}/*/io_links/*/properties",
    f"{ROOT}/*/p2p_links/*/properties",
    f"{PROCESSES}/*/vram_*",
)
LOCAL_HEAPS = 1, 2
"""`HSA_HEAPTYPE_FRAME_BUFFER_PUBLIC` and `…_PRIVATE` of hsakmttypes.h: memory of the device itself."""
XGMI, PCIE = 11, 2
"""`HSA_IOLINKTYPE_XGMI` and `HSA_IOLINKTYPE_PCIEXPRESS` of hsakmttypes.h."""


@dataclass(frozen=True, slots=True)
class Node:
    """One compute device: a card, or a partition of one. `index` is its place among those that HIP counts."""

    number: int
    index: int
    gpu_id: str
    architecture: str
    device_id: str
    uuid: str
    card: str
    """The PCI address of the card."""
    partition: int
    partitions: int
    memory_bytes: int | None


def nodes(answers: Answers, vendor_id: int) -> tuple[Node, ...]:
    """The devices in the order of their nodes, which is the order that HIP and `ROCR_VISIBLE_DEVICES` count in."""
    numbers = sorted(int(name) for name in names(answers, ROOT) if name.isascii() and name.isdecimal())
    found = [(number, _properties(answers, f"{ROOT}/{number}")) for number in numbers]
    ours = [
        (number, each)
        for number, each in found
        if each.get("vendor_id") == vendor_id and each.get("simd_count", 1) and each.get("gfx_target_version")
    ]
    cards = [_card(properties) for _, properties in ours]
    return tuple(
        Node(
            number=number,
            index=index,
            gpu_id=text(answers, f"{ROOT}/{number}/gpu_id") or "",
            architecture=architecture(properties["gfx_target_version"]),
            device_id=f"{properties.get('device_id', 0):04x}",
            uuid=f"GPU-{properties['unique_id']:016x}" if properties.get("unique_id") else "",
            card=cards[index],
            partition=cards[:index].count(cards[index]),
            partitions=cards.count(cards[index]),
            memory_bytes=_memory(answers, number),
        )
        for index, (number, properties) in enumerate(ours)
    )


def architecture(version: int) -> str:
    """90402 is `gfx942`, 90010 `gfx90a`: major, minor and stepping by two decimal digits each, printed as hexadecimal."""
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def _card(properties: Mapping[str, int]) -> str:
    """Bus and device are in the location; its function and its topmost bits count partitions, not cards."""
    place = properties.get("location_id", 0)
    return f"{properties.get('domain', 0):04x}:{place >> 8 & 0xFF:02x}:{place >> 3 & 0x1F:02x}.0"


def _properties(answers: Answers, folder: str) -> dict[str, int]:
    lines = pairs(text(answers, f"{folder}/properties") or "", " ")
    return {
        key: int(value) for key, value in lines.items() if value.isascii() and value.isdecimal() and len(value) < 25
    }


def _memory(answers: Answers, number: int) -> int | None:
    """The banks show a partition's own share, where the tools show the whole card's (ROCm/legacy-rocm-build#4750)."""
    banks = [
        _properties(answers, f"{ROOT}/{number}/mem_banks/{bank}")
        for bank in names(answers, f"{ROOT}/{number}/mem_banks")
    ]
    total = sum(bank.get("size_in_bytes", 0) for bank in banks if bank.get("heap_type") in LOCAL_HEAPS)
    return total if 0 < total <= LARGEST else None


def links(answers: Answers, node: Node, others: tuple[Node, ...]) -> tuple[Link, ...]:
    """The ways to the other devices: Infinity Fabric, else PCIe where the driver allows one to reach the other."""
    indices = {each.number: each.index for each in others}
    ways: dict[int, Link] = {}
    for kind, to in _ways(answers, node):
        if to in indices and indices[to] != node.index and ways.get(indices[to], _NO_WAY).kind != "xgmi":
            name, hops = ("xgmi", "XGMI") if kind == XGMI else ("pcie", "unknown")
            ways[indices[to]] = Link(indices[to], name, hops, None, True)
    return tuple(ways[to] for to in sorted(ways))


_NO_WAY = Link(-1, "", "", None, None)


def _ways(answers: Answers, node: Node) -> Iterator[tuple[int, int]]:
    for folder in ("io_links", "p2p_links"):
        place = f"{ROOT}/{node.number}/{folder}"
        for name in names(answers, place):
            link = _properties(answers, f"{place}/{name}")
            if link.get("type") in (XGMI, PCIE):
                yield link["type"], link.get("node_to", -1)


def held(answers: Answers, node: Node) -> dict[int, int] | Unknown:
    """Bytes of the device that each process holds, by its number: what the driver counts for programs that compute."""
    if not node.gpu_id or not any(key.startswith(f"{ROOT}/{node.number}/") for key in answers):
        return Unknown("the driver does not tell who uses the device")
    used: dict[int, int] = {}
    for process in names(answers, PROCESSES):
        amount = text(answers, f"{PROCESSES}/{process}/vram_{node.gpu_id}") or ""
        if process.isascii() and process.isdecimal() and len(process) < 12 and amount.isascii() and amount.isdecimal():
            used[int(process)] = int(amount[:24])
    return used
