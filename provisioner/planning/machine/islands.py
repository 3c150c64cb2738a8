"""Which accelerators are near each other: behind one fabric, one PCIe switch, one NUMA node, or merely in one machine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from provisioner.model.facts import Accelerator, Link, Unknown
from provisioner.model.record import dataclass

T = TypeVar("T")

FABRIC, SWITCH, NUMA, MACHINE = range(4)
KINDS = ("fabric", "switch", "numa", "machine")
"""Nearest first. `fabric` is the makers' own: NVLink, XGMI, HCCS."""

PCIE_WAYS = {"same board": SWITCH, "PIX": SWITCH, "PXB": SWITCH, "PHB": NUMA, "NODE": NUMA, "SYS": MACHINE}
"""Topology words of `nvidia-smi topo -m`, which other makers' tools share."""

FABRICS = {"nvlink": "NVLink", "xgmi": "XGMI", "hccs": "HCCS"}
BOARD_FABRICS = ("NVLink", "XGMI", "Infinity Fabric", "HCCS")
"""How the catalog's word for a link begins where every card of that kind comes with it, on its board; a bridge is an option."""

Assumed = Callable[[Accelerator], str | None]
"""The catalog's word for a card's links, for machines whose description says nothing about them."""


@dataclass(frozen=True, slots=True)
class Island:
    """Devices every two of which are at least this near."""

    kind: str
    devices: tuple[str, ...]
    words: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """A device that no model is put on, and why."""

    device: str
    reason: str


Levels = tuple[tuple[tuple[Accelerator, ...], ...], ...]
"""For each kind of nearness the cards parted into islands; each level's islands are made of those of the level before."""


def device_name(card: Accelerator) -> str:
    return f"{card.vendor}:{card.index}"


def usable(
    cards: Iterable[Accelerator], taken: Mapping[str, str] | None = None
) -> tuple[tuple[Accelerator, ...], tuple[Excluded, ...]]:
    """The cards that a model may be put on, and the others with the reason. `taken` names who has a device already."""
    fit: list[Accelerator] = []
    excluded: list[Excluded] = []
    for card in cards:
        reason = _unusable(card, taken or {})
        if reason:
            excluded.append(Excluded(device_name(card), reason))
        else:
            fit.append(card)
    return tuple(fit), tuple(excluded)


def _unusable(card: Accelerator, taken: Mapping[str, str]) -> str:
    who = taken.get(device_name(card))
    if who is not None:
        return f"used by {who}"
    if card.problem:
        return card.problem
    if card.row_remap is not None and card.row_remap != "ok":
        return f"memory rows to be remapped, {card.row_remap}"
    if card.mig is not None and card.mig.enabled:
        return f"cut into MIG instances ({len(card.mig.instances)} there): a model is not spread over them"
    for size, what in ((card.memory_bytes, "memory"), (card.free_bytes, "free memory")):
        if isinstance(size, Unknown):
            return f"{what} unknown ({size.reason})"
    return ""


def free_bytes(card: Accelerator) -> int:
    """What may be planned with; a card whose memory nobody knows has none."""
    total, free = card.memory_bytes, card.free_bytes
    return 0 if isinstance(total, Unknown) or isinstance(free, Unknown) else min(total, free)


def islands(cards: Sequence[Accelerator], assumed: Assumed | None = None) -> tuple[Island, ...]:
    """All groups of two and more, nearest first; a group that a nearer kind holds already is not said twice."""
    found: dict[tuple[str, ...], Island] = {}
    for level in levels(cards, assumed):
        for island in level:
            names = tuple(device_name(card) for card in island)
            if len(names) > 1 and names not in found:
                found[names] = described(island, assumed)
    return tuple(found.values())


def described(cards: Sequence[Accelerator], assumed: Assumed | None = None) -> Island:
    """These cards as an island: the kind is that of the two that are farthest from each other."""
    rank = farthest(cards, assumed)
    words = f"{kind_words(cards, rank, assumed)} {numbers(cards)}{caveat(cards, assumed)}"
    return Island(KINDS[rank], tuple(map(device_name, cards)), words)


def farthest(cards: Sequence[Accelerator], assumed: Assumed | None = None) -> int:
    return max((nearness(one, other, assumed) for one, other in _pairs(cards)), default=FABRIC)


def _pairs(items: Sequence[T]) -> Iterator[tuple[T, T]]:
    return ((one, other) for place, one in enumerate(items) for other in items[place + 1 :])


def kind_words(cards: Sequence[Accelerator], rank: int, assumed: Assumed | None = None) -> str:
    """`NVLink pair`, `PCIe switch`, `NUMA node 1:`."""
    if len(cards) == 1:
        return "device"
    if rank == FABRIC:
        return f"{_fabric(cards, assumed)} {'pair' if len(cards) == 2 else 'group'}"
    if rank == SWITCH:
        return "PCIe switch"
    nodes = {card.numa_node for card in cards}
    if rank == NUMA:
        node = next(iter(nodes))
        return f"NUMA node {node}:" if len(nodes) == 1 and node is not None else "host bridge"
    return "the way between NUMA nodes:" if len(nodes) > 1 and None not in nodes else "one machine:"


def _fabric(cards: Sequence[Accelerator], assumed: Assumed | None) -> str:
    word = (assumed(cards[0]) or "") if assumed is not None else ""
    link = _link(cards[0], cards[1])
    named = (name for name in BOARD_FABRICS if word.startswith(name))
    return next(named, None) or (FABRICS.get(link.kind) if link else None) or "fabric"


def numbers(cards: Sequence[Accelerator]) -> str:
    """`0-3,6`, of the devices' indices."""
    runs: list[list[int]] = []
    for index in sorted(card.index for card in cards):
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def caveat(cards: Sequence[Accelerator], assumed: Assumed | None) -> str:
    """What was not told, or stands in the way."""
    if len(cards) < 2:
        return ""
    if assumed is not None:
        word = assumed(cards[0])
        return f" (links not stated; the catalog has {word} for this card)" if word else " (links not stated)"
    links = [_link(one, other) for one, other in _pairs(cards)]
    if any(link is None or not _told(link) for link in links):
        return " (some links unknown, placed by their NUMA nodes)"
    if any(link is not None and link.peer_to_peer is False for link in links):
        return " (without peer-to-peer copies: through the host's memory)"
    return ""


def levels(cards: Sequence[Accelerator], assumed: Assumed | None = None) -> Levels:
    """The islands of every kind. Where nearness is not transitive (a ring of NVLinks), an island is a full clique."""
    ordered = sorted(cards, key=lambda card: (card.vendor, card.index))
    ranks = [[FABRIC] * len(ordered) for _ in ordered]
    for (place, one), (other_place, other) in _pairs(tuple(enumerate(ordered))):
        ranks[place][other_place] = ranks[other_place][place] = nearness(one, other, assumed)
    parts: list[tuple[int, ...]] = [(place,) for place in range(len(ordered))]
    found = []
    for rank in range(len(KINDS)):
        parts = _joined(parts, rank, ranks)
        found.append(tuple(tuple(ordered[place] for place in part) for part in parts))
    return tuple(found)


def _joined(parts: Iterable[tuple[int, ...]], rank: int, ranks: list[list[int]]) -> list[tuple[int, ...]]:
    """Each part goes to the first island to all of which it is near enough, else it stays one of its own."""
    joined: list[tuple[int, ...]] = []
    for part in parts:
        for place, island in enumerate(joined):
            if all(ranks[one][other] <= rank for one in island for other in part):
                joined[place] = island + part
                break
        else:
            joined.append(part)
    return joined


def nearness(one: Accelerator, other: Accelerator, assumed: Assumed | None = None) -> int:
    """How near two cards are; by their NUMA nodes where nothing is known of the link between them."""
    if one.vendor != other.vendor:
        return MACHINE
    if assumed is not None and one.name == other.name and (assumed(one) or "").startswith(BOARD_FABRICS):
        return FABRIC
    link = _link(one, other)
    if link is not None and _told(link):
        return FABRIC if link.kind in FABRICS else PCIE_WAYS[link.hops]
    return NUMA if one.numa_node is not None and one.numa_node == other.numa_node else MACHINE


def _link(one: Accelerator, other: Accelerator) -> Link | None:
    return next((link for link in one.links if link.to == other.index), None)


def _told(link: Link) -> bool:
    return link.kind in FABRICS or link.hops in PCIE_WAYS
