"""The ways in which one of several models can be run: in each precision, on the fewest devices and on more, with the least memory
that does. What an engine claims of a device follows what is free of it, so the least is found by planning with less and less.
"""

from collections.abc import Callable, Iterator, Mapping
from math import inf, log2
from typing import cast

from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.devices import link_of
from provisioner.planning.asked.names import find_model, of_catalog
from provisioner.planning.asked.settings import Wish
from provisioner.planning.machine.ground import survey
from provisioner.planning.machine.islands import KINDS, device_name, free_bytes
from provisioner.planning.several.packing import Device, Item, Option, devices_of, kind_of
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.choose import WIDE, choose

HOST = "host"
STEPS = 128
"""How finely the least memory is sought: this part of a device."""

OWN_DEVICES = 0.9
"""What devices of its own are worth to a model, where halving its weights costs 1: two models on a device halve each other's speed,
and half of the weights doubles it."""

SIZES = (1, 2, 4, 8)
"""Devices that a model is tried on, beside all of them: a tensor group is a power of two."""

SMALLER = 0.8
"""A format is worth trying after another that fits alone when its weights are no more than this part of them."""

Free = Mapping[str, int]
"""By device the bytes that one model may plan with."""


@dataclass(frozen=True, slots=True)
class Way:
    """An option of the packing, and the precision that it stands for; None where the model is a file."""

    option: Option
    precision: str | None


@dataclass(frozen=True, slots=True)
class Ways:
    """`problem` says why there is none at all, however the machine were shared."""

    name: str
    ways: tuple[Way, ...]
    problem: str = ""
    model: str = ""
    """What was asked for, where several copies of it want places of their own."""

    @property
    def item(self) -> Item:
        return Item(self.name, tuple(way.option for way in self.ways))

    def precision(self, option: Option) -> str | None:
        return next(way.precision for way in self.ways if way.option == option)


def on_host(scene: Scene) -> bool:
    """Whether models share the host's memory: there is no device, or it was asked for."""
    return not scene.ground.cards or scene.wish.placement == HOST


def places_of(scene: Scene) -> tuple[Device, ...]:
    """What models are packed onto: the devices, or the host as if it were one."""
    if not on_host(scene):
        return devices_of(scene.ground.cards, link_of(scene.catalog, scene.facts))
    room = scene.ground.host
    return () if isinstance(room, Unknown) else (Device(HOST, HOST, room.budget_bytes, ("",) * len(KINDS)),)


def ways_of(name: str, scene: Scene) -> Ways:
    """Of one model by this name on the whole machine."""
    scene = replace(scene, wish=_called(name, scene))
    found: list[Way] = []
    problems: list[Attempt] = []
    limit = inf
    formats = tuple(_precisions(scene))
    lightest = min(value for _, value in formats)
    for precision, value in formats:
        if value > limit:
            continue
        wished = _wishing(scene, precision)
        sizes = SIZES if value + log2(SMALLER) <= lightest else ()
        ways = tuple(
            _in_host(wished, precision, value) if on_host(scene) else _on_cards(wished, precision, value, sizes)
        )
        found += ways
        if ways:
            limit = value + log2(SMALLER)
        else:
            problems.append(choose(wished).attempt)
    return Ways(name, tuple(found), "" if found else min(problems, key=missing_bytes).problem)


def missing_bytes(attempt: Attempt) -> float:
    return attempt.fit.missing_bytes if attempt.fit is not None and attempt.fit.missing_bytes else inf


def only(facts: HostFacts, free: Free) -> HostFacts:
    """The same machine with these cards alone, and so much free on each."""

    def left(cards: tuple[Accelerator, ...]) -> tuple[Accelerator, ...]:
        kept = [card for card in cards if device_name(card) in free]
        there = {card.index for card in kept}
        return tuple(
            replace(card, free_bytes=free[device_name(card)], links=tuple(link for link in card.links if link.to in there))
            for card in kept
        )  # fmt: skip

    cards = {vendor: () if isinstance(found, Unknown) else left(found) for vendor, found in facts.accelerators.items()}
    return replace(facts, accelerators=cards, nodes=1)


def _called(name: str, scene: Scene) -> Wish:
    """The wish by the catalog's own id, and in the precision that the name says; a file keeps its path."""
    if name.startswith("/"):
        return replace(scene.wish, model=name)
    found = of_catalog(scene.catalog, name) if is_path(name) else find_model(scene.catalog, name)
    if found is None:
        return replace(scene.wish, model=name)
    gguf = found.gguf if is_path(name) else ""
    return replace(scene.wish, model=found.entry.id, precision=scene.wish.precision or found.precision, gguf=gguf)


def _wishing(scene: Scene, precision: str | None) -> Scene:
    placement = scene.wish.placement if on_host(scene) else "device"
    return replace(scene, wish=replace(scene.wish, precision=precision, placement=placement))


def _precisions(scene: Scene) -> Iterator[tuple[str | None, float]]:
    """As a plan of one model tries them, and what each is worth: 1 less where the weights have half the bytes."""
    wish = scene.wish
    if wish.precision or wish.model is None or wish.model not in scene.catalog.models:
        yield wish.precision, 0.0
        return
    entry = scene.catalog.model(wish.model)
    checkpoints = sorted(entry.checkpoints, key=lambda one: -one.bytes)
    offers = sorted(entry.gguf, key=lambda one: -one.bytes)
    known = {} if on_host(scene) else {one.precision: one.bytes for one in checkpoints}
    narrow = [one for one in offers if one.precision not in WIDE] if on_host(scene) else []
    for offer in narrow or offers:
        known.setdefault(offer.precision, offer.bytes)
    most = max(known.values(), default=1)
    for precision, weight in known.items():
        yield precision, log2(max(1, weight) / most)
    if not known:
        yield None, 0.0


def _in_host(scene: Scene, precision: str | None, value: float) -> Iterator[Way]:
    attempt = choose(scene).attempt
    if attempt.fit is None or not attempt.fit.budgets:
        return
    host = attempt.fit.budgets[-1]
    if not attempt.problem or attempt.fit.missing_bytes:
        yield Way(Option(attempt.label, 1, host.budget_bytes - host.free_bytes, value, kind=HOST), precision)


def _on_cards(scene: Scene, precision: str | None, value: float, sizes: tuple[int, ...]) -> Iterator[Way]:
    """On the fewest devices, alone and beside others; on twice as many, and on each of these sizes, with less of each.

    An engine that cannot be bounded has its devices alone, and so gains nothing where it needs less of each.
    """
    kinds: dict[str, list[Accelerator]] = {}
    for card in sorted(scene.ground.cards, key=free_bytes, reverse=True):
        kinds.setdefault(kind_of(card), []).append(card)
    for kind, cards in kinds.items():
        fewest = _fewest(scene, cards)
        if fewest is None:
            continue
        count, attempt = fewest
        least = _option(scene, kind, cards[:count], attempt, value)
        own = Option(least.label, count, least.bytes_per_device, value + OWN_DEVICES, kind, least.tensor, bounded=False)
        yield Way(own, precision)
        if not attempt.engine.bounded:
            continue
        yield Way(least, precision)
        for more in sorted({2 * count, *sizes}):
            wide = _wide(scene, kind, cards, more, value) if more > count else None
            if wide is not None and wide.bytes_per_device < least.bytes_per_device:
                yield Way(wide, precision)


def _fewest(scene: Scene, cards: list[Accelerator]) -> tuple[int, Attempt] | None:
    """The fewest devices on which it fits, all of them in use."""
    for count in sorted({size for size in (*SIZES, len(cards)) if size <= len(cards)}):
        attempt = _with(scene, cards[:count], free_bytes(cards[count - 1]))
        if not attempt.problem:
            used = len(attempt.served.layout.devices) if attempt.served else count
            return used, attempt
    return None


def _wide(scene: Scene, kind: str, cards: list[Accelerator], count: int, value: float) -> Option | None:
    """On more devices than it needs, less is used of each."""
    if count > len(cards):
        return None
    attempt = _with(scene, cards[:count], free_bytes(cards[count - 1]))
    return None if attempt.problem else _option(scene, kind, cards[:count], attempt, value)


def _option(scene: Scene, kind: str, cards: list[Accelerator], attempt: Attempt, value: float) -> Option:
    most = min(map(free_bytes, cards))
    weights = attempt.subject.weights_bytes // len(cards) if attempt.subject else 0
    wish = scene.wish
    key = ("least", wish.model, wish.precision, wish.context, kind, len(cards), most)
    if key not in scene.known:
        scene.known[key] = _least(lambda free: not _with(scene, cards, free).problem, min(weights, most), most)
    least = cast("int", scene.known[key])
    degrees = attempt.served.load.degrees if attempt.served else Degrees()
    tensor = degrees.tensor if len(cards) % degrees.tensor == 0 else 1
    return Option(attempt.label, len(cards), least, value, kind=kind, tensor=tensor)


def _least(fits: Callable[[int], bool], low: int, most: int) -> int:
    """By halving: what fits in less fits in more. `low` is known not to do, `most` to do."""
    high = most
    while high - low > max(1, most // STEPS):
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _with(scene: Scene, cards: list[Accelerator], free: int) -> Attempt:
    """What is chosen with these cards alone, and so much free on each; the cards come freest first."""
    facts = only(scene.facts, {device_name(card): free for card in cards})
    return choose(replace(scene, terse=True, facts=facts, ground=survey(facts))).attempt
