"""Why a model found no place beside the others, and what would give it one: every help is tried before it is named."""

from collections.abc import Iterator, Sequence

from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import size
from provisioner.planning.several.packing import Device, Item, Option, Packed, pack, places

MOST_MORE = 8
"""Devices that are worth proposing to buy."""


@dataclass(frozen=True, slots=True)
class Unplaced:
    name: str
    why: str
    without: tuple[str, ...] = ()
    """Other models: leave out any one of them, and this one and all the rest have a place."""
    missing_bytes: int = 0
    """On each device of its least demanding option, where it does not even fit alone."""
    more_devices: int = 0
    """Devices like the freest one that would give all a place; 0 where no number up to eight does."""

    @property
    def helps(self) -> tuple[str, ...]:
        return tuple(self._helps())

    def _helps(self) -> Iterator[str]:
        for other in self.without:
            yield f"leave out `{other}`"
        if self.missing_bytes:
            yield f"{size(self.missing_bytes)} more free memory on each device"
        if self.more_devices:
            yield f"{self.more_devices} more device{'s' if self.more_devices > 1 else ''} like the freest one"


def explain(items: Sequence[Item], devices: Sequence[Device], packed: Packed) -> tuple[Unplaced, ...]:
    """One entry for each model that is left."""
    by_name = {item.name: item for item in items}
    return tuple(_explained(by_name[name], items, devices, packed) for name in packed.left)


def _explained(item: Item, items: Sequence[Item], devices: Sequence[Device], packed: Packed) -> Unplaced:
    if not item.options:
        return Unplaced(item.name, "there is no way to run it on this kind of device")
    placed = {one.name for one in packed.placed}
    wanted = [other for other in items if other.name in placed or other is item]
    more = _more_devices(wanted, devices)
    if not pack([item], devices).placed:
        why, missing = _short(item, devices)
        return Unplaced(item.name, why, missing_bytes=missing, more_devices=more)
    without = tuple(
        other.name for other in wanted if other is not item and _all_fit([w for w in wanted if w is not other], devices)
    )
    others = ", ".join(f"`{one.name}` on {', '.join(one.devices)}" for one in packed.placed)
    return Unplaced(item.name, f"it would fit alone, not beside {others}", without, more_devices=more)


def _all_fit(items: Sequence[Item], devices: Sequence[Device]) -> bool:
    return not pack(items, devices).left


def _more_devices(items: Sequence[Item], devices: Sequence[Device]) -> int:
    if not devices:
        return 0
    freest = max(devices, key=lambda device: device.free_bytes)
    for count in range(1, MOST_MORE + 1):
        added = (replace(freest, name=f"added {number}") for number in range(count))
        if _all_fit(items, (*devices, *added)):
            return count
    return 0


def _short(item: Item, devices: Sequence[Device]) -> tuple[str, int]:
    """What the option lacks that is nearest to having a place on the machine alone."""
    found = [(option, _room_for(option, devices)) for option in item.options]
    with_room = [(option.bytes_per_device - room, option, room) for option, room in found if room]
    if with_room:
        missing, option, room = min(with_room, key=lambda each: each[0])
        return f"{_needs(option)}, and no more than {size(room)} is free on {_as_many(option)}", missing
    option = min(item.options, key=lambda option: option.count)
    near = " near enough to each other" if option.tensor > 1 else ""
    return f"{_needs(option)}, and there are not {option.count} alike{near}", 0


def _needs(option: Option) -> str:
    return f"it needs {size(option.bytes_per_device)} on {_as_many(option)}"


def _as_many(option: Option) -> str:
    if option.kind == "host":
        return "the host"
    return f"each of {option.count} devices" if option.count > 1 else "one device"


def _room_for(option: Option, devices: Sequence[Device]) -> int:
    """The most that is free on as many devices as it takes; 0 where there are not as many."""
    empty = tuple(device.free_bytes for device in devices)
    for free in sorted({free for free in empty if free > 0}, reverse=True):
        if next(places(replace(option, bytes_per_device=free), devices, empty), None) is not None:
            return free
    return 0
