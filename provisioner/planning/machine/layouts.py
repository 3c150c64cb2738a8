"""Which devices a model may be put on and how it is cut over them: the most promising first, each tried until one fits.

A copy on one card comes before tensor parallelism: one RTX 4090 gave 3,965 tokens/s where TP 2 over PCIe gave 1,797
(databasemart.com, "vllm-distributed-inference"), so devices of a copy are counted upwards. Tensor parallelism wants identical cards
as near to each other as can be, and comes before pipelines also over the slowest way: two GH200 without NVLink held 163,840
tokens at TP 2 and 114,688 at PP 2, with 78 against 50 tokens/s (a public log of vLLM 0.14, 2026-01-11). Across nodes it hangs or
crawls (vllm-project/vllm#21524), and is proposed only when asked for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence

from provisioner.model.catalog import Geometry
from provisioner.model.facts import Accelerator, Unknown
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.machine.cuts import Cut, Refuses, across, cuts
from provisioner.planning.machine.grouping import Choice, Group, Kind, alike, choices, fullest, grouped, kinds
from provisioner.planning.machine.islands import Assumed, caveat, device_name, farthest, free_bytes, kind_words, numbers

MOST_NODES = 16
"""One copy of a model is not spread over more: a pipeline that long answers nobody in time."""

Copy = tuple[tuple[str, ...], ...]
"""The devices of one copy on one node: one tuple for each pipeline stage or data-parallel rank."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to run a model. Each node that is used has the same devices in use."""

    degrees: Degrees
    copies: tuple[Copy, ...]
    card: Accelerator
    """The fullest of all the cards: what fits on it fits on each of them."""
    because: str
    nodes: int = 1
    """How many nodes are used in all; one copy is spread over `degrees.nodes` of them."""

    @property
    def replicas(self) -> int:
        return len(self.copies) * self.nodes // self.degrees.nodes

    @property
    def devices(self) -> tuple[str, ...]:
        """Of one node."""
        return tuple(device for copy in self.copies for stage in copy for device in stage)

    @property
    def free_bytes(self) -> int:
        return free_bytes(self.card)


@dataclass(frozen=True, slots=True)
class Site:
    """What a model may be laid out over: the usable cards of one node, and how many nodes there are like it."""

    cards: tuple[Accelerator, ...]
    nodes: int = 1
    assumed: Assumed | None = None
    """The catalog's word for a card's links, where the machine's description leaves them out."""
    strength: Callable[[Accelerator], float] | None = None
    """Which kind of card comes first, such as its bandwidth; without it memory and then generation decide."""


def apart(site: Site) -> tuple[Site, ...]:
    """A site for each kind of card, the most promising first: what an engine refuses may differ between them."""
    parts = alike(site.cards)
    if len(parts) == 1:
        return (site,)
    ordered = sorted(parts, key=lambda cards: _strength(cards, site), reverse=True)
    return tuple(replace(site, cards=cards) for cards in ordered)


def layouts(
    site: Site,
    geometry: Geometry,
    refuses: Refuses,
    copies: int | None = None,
    tensor_across_nodes: bool = False,
    a_node: Callable[[Degrees], int] | None = None,
    hopeless: Callable[[Degrees], bool] = lambda _: False,
) -> Iterator[Layout]:
    """Every layout worth trying, lazily, best first; `copies` is the most that are wanted, `a_node` how many of them a node's
    host has room beside, `hopeless` which cuts nobody needs to see laid out.

    Of several with the same degrees on the same kind of card, each further one has strictly more free memory on its fullest
    card, so the first that fits is the one with the most copies and the nearest devices.
    """
    asked = _Asked(site, refuses, copies, a_node)
    most = max((len(kind.cards) for kind in asked.ranked), default=0)
    for cut in cuts(most, geometry, asked.refuses):
        for kind in () if hopeless(cut.degrees) else asked.ranked:
            for choice in asked.choices(kind, cut.degrees.ranks, asked.most(cut.degrees)):
                yield _within(asked, kind, cut, choice)
    for nodes in range(2, min(site.nodes, MOST_NODES) + 1):
        for kind in asked.ranked:
            found = _over_nodes(asked, kind, nodes, geometry, tensor_across_nodes)
            yield from (layout for layout in found if not hopeless(layout.degrees))


def on_devices(site: Site, degrees: Degrees, devices: Collection[str]) -> Layout:
    """One copy on just these devices, which somebody else has picked: all alike, and as many as the degrees take."""
    chosen = tuple(card for card in site.cards if device_name(card) in devices)
    found = kinds(chosen, site.assumed)
    if len(found) != 1 or len(chosen) != len(devices) or len(chosen) * degrees.nodes != degrees.ranks:
        raise ValueError(f"{degrees.ranks} like devices are needed, and these are {', '.join(sorted(devices))}")
    return _layout(site, Cut(degrees), (_copy(found[0], chosen, min(degrees.tensor, len(chosen))),), degrees.nodes)


class _Asked:
    """What one search has found out already: refusals by degrees, choices of cards, and the words for a group."""

    def __init__(
        self, site: Site, refuses: Refuses, copies: int | None, a_node: Callable[[Degrees], int] | None
    ) -> None:
        self.site = site
        self.copies = copies
        self.ranked = sorted(
            kinds(site.cards, site.assumed), key=lambda kind: _strength(kind.cards, site), reverse=True
        )
        self._a_node = a_node
        self._refuses = refuses
        self._refused: dict[Degrees, str] = {}
        self._chosen: dict[tuple[int, int, int | None], tuple[Choice, ...]] = {}

    def refuses(self, degrees: Degrees) -> str:
        if degrees not in self._refused:
            self._refused[degrees] = self._refuses(degrees)
        return self._refused[degrees]

    def most(self, degrees: Degrees) -> int | None:
        """Copies that one node is to have at most; one is tried in any case, as somebody has to say why it does not fit."""
        if self._a_node is None:
            return self.copies
        room = max(1, self._a_node(degrees))
        return room if self.copies is None else min(room, self.copies)

    def choices(self, kind: Kind, size: int, copies: int | None) -> tuple[Choice, ...]:
        key = (id(kind), size, copies)
        if key not in self._chosen:
            self._chosen[key] = tuple(choices(kind, size, copies))
        return self._chosen[key]


def key(site: Site) -> tuple[object, ...]:
    """Equal for sites whose layouts are equal under one catalog, for whoever keeps those of one machine for the next alike."""
    return (site.nodes, site.assumed is not None, *(
        (card.vendor, card.index, card.name, card.memory_bytes, card.free_bytes, card.compute_capability, card.numa_node,
         card.links)
        for card in site.cards
    ))  # fmt: skip


def _strength(cards: Group, site: Site) -> tuple[float, ...]:
    card = cards[0]
    if site.strength is not None:
        return (site.strength(card), len(cards))
    memory = 0 if isinstance(card.memory_bytes, Unknown) else round(card.memory_bytes / GIB)
    return (memory, _generation(card), len(cards))


def _generation(card: Accelerator) -> float:
    try:
        return float(card.compute_capability or 0)
    except ValueError:
        return 0.0


def _within(asked: _Asked, kind: Kind, cut: Cut, choice: Choice) -> Layout:
    """Copies inside a node, and the same on the nodes like it until there are as many as are wanted."""
    site, wanted = asked.site, asked.copies
    copies = tuple(_copy(kind, group, cut.degrees.tensor) for group in choice.groups)
    nodes = site.nodes if wanted is None else min(site.nodes, -(-wanted // len(copies)))
    return _layout(site, cut, copies, nodes)


def _over_nodes(asked: _Asked, kind: Kind, span: int, geometry: Geometry, tensor: bool) -> Iterator[Layout]:
    """One copy over so many nodes, with the same devices on each, as often as there are nodes for it."""
    site, wanted = asked.site, asked.copies
    teams = site.nodes // span
    nodes = span * (teams if wanted is None else min(teams, wanted))
    for size in _shares(len(kind.cards)):
        for cut in across(size, span, geometry, asked.refuses, tensor):
            for choice in asked.choices(kind, size, 1):
                copy = _copy(kind, choice.groups[0], min(cut.degrees.tensor, size))
                yield _layout(site, cut, (copy,), nodes)


def _shares(devices: int) -> Iterator[int]:
    """How many devices a node may give to a copy that is spread over nodes: a power of two, largest first, else all."""
    share = 1 << (devices.bit_length() - 1) if devices else 0
    while share:
        yield share
        share //= 2
    if devices & (devices - 1):
        yield devices


def _copy(kind: Kind, group: Group, tensor: int) -> tuple[Group, ...]:
    """The cards of one copy, parted into tensor groups that are as near as can be."""
    return tuple(grouped(kind.levels, {card.index for card in group}, tensor))


def _layout(site: Site, cut: Cut, copies: Sequence[Sequence[Group]], nodes: int) -> Layout:
    groups = [group for copy in copies for group in copy]
    return Layout(
        degrees=cut.degrees,
        copies=tuple(tuple(tuple(map(device_name, group)) for group in copy) for copy in copies),
        card=fullest([card for group in groups for card in group]),
        because=_because(site, cut, groups),
        nodes=nodes,
    )


def _because(site: Site, cut: Cut, groups: Sequence[Group]) -> str:
    degrees = cut.degrees
    told = [_where(site, degrees, groups)]
    if degrees.pipeline > 1 and degrees.nodes > 1:
        told.append(f"stages across {degrees.nodes} nodes, where tensor parallelism would wait for the network")
    elif degrees.pipeline > 1:
        told.append(f"{degrees.pipeline} stages of layers")
    if degrees.decode_context > 1:
        told.append(f"each of {degrees.decode_context} ranks keeps its part of every context")
    if degrees.data > 1:
        told.append("each rank has a cache of its own, and the experts are spread over all ranks")
    elif degrees.expert:
        told.append("experts stay whole on a rank")
    if degrees.nodes > 1 and degrees.tensor > len(groups[0]):
        told.append("tensor parallelism across nodes was asked for; over Ethernet it is known to hang")
    if cut.instead and not (degrees.nodes > 1 and degrees.tensor > len(groups[0])):
        told.append(f"as the simpler cut is refused: {cut.instead}")
    return "; ".join(told)


def _where(site: Site, degrees: Degrees, groups: Sequence[Group]) -> str:
    if degrees.ranks == 1:
        return "a copy needs one device, and copies of their own beat tensor parallelism"
    if len(groups[0]) == 1:
        return "one device a rank"
    places: dict[str, list[str]] = {}
    for group in groups:
        kind = kind_words(group, farthest(group, site.assumed), site.assumed)
        places.setdefault(kind, []).append(numbers(group))
    told = ", ".join(f"{kind} {' and '.join(found)}" for kind, found in places.items())
    return f"TP {degrees.tensor} over {told}{caveat(groups[0], site.assumed)}"
