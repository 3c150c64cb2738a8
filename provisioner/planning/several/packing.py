"""Several models on one machine: each on devices of its own or beside others, as many of them as there can be, and the best of them.

The search is exact: it tries every way that differs, and leaves out what cannot beat the best one found. Devices that are alike, as
near to the same others and as full, are tried once.
"""

from collections.abc import Iterator, Sequence

from provisioner.model.facts import Accelerator
from provisioner.model.record import dataclass
from provisioner.planning.machine.islands import KINDS, MACHINE, Assumed, device_name, free_bytes, levels
from provisioner.planning.machine.layouts import Layout

ALONE = -1
"""Of what is left on a device: an engine that sets itself no limit has it, and nobody else can come."""


@dataclass(frozen=True, slots=True)
class Device:
    """`islands` names, for each kind of nearness, the island that it shares with others; empty where it is alone."""

    name: str
    kind: str
    free_bytes: int
    islands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """One way to run a model: so many devices of one kind, so much of each."""

    label: str
    count: int
    bytes_per_device: int
    value: float
    """How much better this is than another option of this model; the sum over all models counts."""
    kind: str = ""
    """Empty where any kind will do; also then all devices are of one kind."""
    tensor: int = 1
    """Devices that have to be in one island together, the size of a tensor group."""
    reach: int = MACHINE
    """How far apart the devices of a tensor group may be: an index of `islands.KINDS`."""
    bounded: bool = True
    """The engine keeps to its bytes, so that others may be on the same devices."""


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    name: str
    option: Option
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """`left` are the names of the models that found no place; `exact` is False where the search was cut short."""

    placed: tuple[Placed, ...]
    left: tuple[str, ...]
    exact: bool = True


MOST_STEPS = 250_000
"""Some half a minute. Of 120 drawn cases of six models on eight devices most took less than a thousand, the hardest 176,000."""

Options = tuple[tuple[Option, ...], ...]
State = tuple[int, ...]
"""What is left on each device, in the order of the devices; `ALONE` where one has it all."""
Score = tuple[int, float, int, int]
"""Models placed, value, devices and islands in use (negative): the larger the better, from the left."""


def devices_of(cards: Sequence[Accelerator], assumed: Assumed | None = None) -> tuple[Device, ...]:
    """The cards of a machine as places."""
    inside: dict[str, list[str]] = {device_name(card): [] for card in cards}
    for rank, level in enumerate(levels(cards, assumed)):
        for number, island in enumerate(level):
            for card in island:
                inside[device_name(card)].append(f"{KINDS[rank]} {number}" if len(island) > 1 else "")
    return tuple(
        Device(device_name(card), kind_of(card), free_bytes(card), tuple(inside[device_name(card)])) for card in cards
    )


def option_of(
    layout: Layout, bytes_per_device: int, value: float, reach: int = MACHINE, bounded: bool = True
) -> Option:
    """One copy of this layout, wherever it finds its place; `layouts.on_devices` makes a layout of the place again."""
    degrees = layout.degrees
    return Option(
        label=layout.because, count=degrees.ranks // degrees.nodes, bytes_per_device=bytes_per_device, value=value,
        kind=kind_of(layout.card), tensor=min(degrees.tensor, degrees.ranks // degrees.nodes), reach=reach, bounded=bounded,
    )  # fmt: skip


def kind_of(card: Accelerator) -> str:
    return f"{card.vendor} {card.name}, {card.memory_bytes} bytes"


def pack(items: Sequence[Item], devices: Sequence[Device]) -> Packed:
    """The best way: most models, then most value, then fewest devices, then fewest islands broken into."""
    return _Search(items, devices).run()


def places(option: Option, devices: Sequence[Device], state: State) -> Iterator[tuple[int, ...]]:
    """Every set of devices that this option can have, those that only differ in name once; the fullest devices first."""
    for kind in dict.fromkeys(device.kind for device in devices):
        if option.kind in ("", kind):
            alike: dict[tuple[tuple[str, ...], bool, int], list[int]] = {}
            for number, device in enumerate(devices):
                if device.kind == kind and _has_room(option, device, state[number]):
                    used = state[number] != device.free_bytes
                    left = state[number] if option.bounded else 0
                    alike.setdefault((device.islands, used, left), []).append(number)
            groups = sorted(alike.items(), key=lambda pair: (pair[0][0][option.reach], not pair[0][1], pair[0][2]))
            found = [(key[0][option.reach], sorted(numbers, key=state.__getitem__)) for key, numbers in groups]
            yield from _chosen(option, found, option.count)


def _has_room(option: Option, device: Device, left: int) -> bool:
    if left == ALONE or left < option.bytes_per_device or (option.tensor > 1 and not device.islands[option.reach]):
        return False
    return option.bounded or left == device.free_bytes


def _chosen(
    option: Option, groups: Sequence[tuple[str, list[int]]], wanted: int, inside: int = 0
) -> Iterator[tuple[int, ...]]:
    """Devices out of groups of like ones, sorted by island; each island gives whole tensor groups. `inside`: of this island so far."""
    if not groups:
        if not wanted:
            yield ()
        return
    (island, numbers), rest = groups[0], groups[1:]
    last = not rest or rest[0][0] != island
    for count in range(min(wanted, len(numbers)), -1, -1):
        if last and (inside + count) % option.tensor:
            continue
        for others in _chosen(option, rest, wanted - count, 0 if last else inside + count):
            yield (*numbers[:count], *others)


class _Search:
    """Depth first, one model after the other; `best` is the best that was found so far."""

    def __init__(self, items: Sequence[Item], devices: Sequence[Device]) -> None:
        self.devices = devices
        self.items = sorted(items, key=_demand, reverse=True)
        self.order = {item.name: place for place, item in enumerate(items)}
        self.empty = tuple(device.free_bytes for device in devices)
        self.best: tuple[Score, tuple[Placed, ...]] = ((0, 0, 0, 0), ())
        self.steps = 0
        self.seen: dict[tuple[int, tuple[object, ...]], tuple[int, float]] = {}

    def run(self) -> Packed:
        options = tuple(tuple(sorted(item.options, key=lambda option: -option.value)) for item in self.items)
        self._go(0, self.empty, 0, (), options)
        placed = sorted(self.best[1], key=lambda one: self.order[one.name])
        names = {one.name for one in placed}
        left = tuple(name for name in self.order if name not in names)
        return Packed(tuple(placed), left, exact=self.steps < MOST_STEPS)

    def _go(self, place: int, state: State, value: float, placed: tuple[Placed, ...], options: Options) -> None:
        """`options` are those of the models from here on, as far as they were possible so far: no device grows."""
        score = (len(placed), value, *self._spread(state))
        if score > self.best[0]:
            self.best = (score, placed)
        self.steps += 1
        if not options or self.steps >= MOST_STEPS or self._known(place, state, score):
            return
        options = tuple(tuple(option for option in each if self._possible(option, state)) for each in options)
        if self._bound(state, score, options) <= self.best[0]:
            return
        for option in options[0]:
            for chosen in places(option, self.devices, state):
                one = Placed(self.items[place].name, option, tuple(self.devices[number].name for number in chosen))
                self._go(place + 1, _taken(option, state, chosen), value + option.value, (*placed, one), options[1:])
        self._go(place + 1, state, value, placed, options[1:])

    def _known(self, place: int, state: State, score: Score) -> bool:
        """Whether a like state was left from here with as much or more."""
        alike = sorted(
            (device.islands, device.kind, left, left != device.free_bytes) for device, left in self._pairs(state)
        )
        key, mine = (place, tuple(alike)), score[:2]
        if self.seen.get(key, (-1, 0.0)) >= mine:
            return True
        self.seen[key] = mine
        return False

    def _bound(self, state: State, score: Score, options: Options) -> Score:
        """No way on from here is better: each model has any option that it could have alone, while there are bytes enough in all."""
        least = min((option.bytes_per_device for each in options for option in each), default=0)
        open_ = [(device, left) for device, left in self._pairs(state) if left >= least]
        unused = sorted((left for device, left in open_ if left == device.free_bytes), reverse=True)
        begun = sum(left for device, left in open_ if left != device.free_bytes)
        ways: list[Way] = [(0, 0, 0.0)]
        for each in options:
            taking = [(_takes(option, open_, least), 1, option.value) for option in each]
            ways = _not_beaten(ways, taking, begun + sum(unused))
        needed, count, value = ways[-1]
        return (score[0] + count, score[1] + value, score[2] - _devices_for(needed - begun, unused), score[3])

    def _pairs(self, state: State) -> Iterator[tuple[Device, int]]:
        return zip(self.devices, state, strict=True)

    def _possible(self, option: Option, state: State) -> bool:
        """Whether `places` has any."""
        room: dict[tuple[str, str], int] = {}
        for device, left in self._pairs(state):
            if _has_room(option, device, left) and option.kind in ("", device.kind):
                key = (device.kind, device.islands[option.reach])
                room[key] = room.get(key, 0) + 1
        whole: dict[str, int] = {}
        for (kind, _), count in room.items():
            whole[kind] = whole.get(kind, 0) + count // option.tensor * option.tensor
        return any(count >= option.count for count in whole.values())

    def _spread(self, state: State) -> tuple[int, int]:
        used = [device for device, left in self._pairs(state) if left != device.free_bytes]
        return -len(used), -len({island for device in used for island in device.islands if island})


Way = tuple[int, int, float]
"""Bytes, models and value of one choice of options."""


def _not_beaten(ways: Sequence[Way], options: Sequence[Way], room: int) -> list[Way]:
    """Each way with each option or none: rising in bytes, and what takes more bytes brings more."""
    both = [*ways, *((a + x, b + y, c + z) for a, b, c in ways for x, y, z in options if a + x <= room)]
    found: list[Way] = []
    for way in sorted(both, key=lambda way: (way[0], -way[1], -way[2])):
        if not found or way[1:] > found[-1][1:]:
            found.append(way)
    return found


def _takes(option: Option, devices: Sequence[tuple[Device, int]], least: int) -> int:
    """Bytes that are gone for others at least: what is left beside it counts only where it is enough for somebody."""
    each = (
        option.bytes_per_device if option.bounded and left - option.bytes_per_device >= least else left
        for device, left in devices
        if _has_room(option, device, left)
    )
    return option.count * min(each, default=option.bytes_per_device)


def _devices_for(needed: int, unused: Sequence[int]) -> int:
    """How many devices, largest first, so many bytes take at least."""
    count = 0
    while needed > 0 and count < len(unused):
        needed -= unused[count]
        count += 1
    return count


def _demand(item: Item) -> int:
    """The hardest to place come first: what is ruled out is ruled out early."""
    return min((option.count * option.bytes_per_device for option in item.options), default=0)


def _taken(option: Option, state: State, chosen: Sequence[int]) -> State:
    left = list(state)
    for number in chosen:
        left[number] = left[number] - option.bytes_per_device if option.bounded else ALONE
    return tuple(left)
