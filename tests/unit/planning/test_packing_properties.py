"""Packing held against trying every way there is."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations, product

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.model.record import replace
from provisioner.planning.machine.islands import FABRIC, MACHINE, NUMA, SWITCH
from provisioner.planning.several.packing import Device, Item, Option, Packed, Placed, devices_of, pack
from provisioner.planning.several.unplaced import explain
from tests.unit.planning.racks import GIB, RACKS, with_free

Score = tuple[int, float, int, int]


def score(packed: Packed, devices: Sequence[Device]) -> Score:
    used = {name for one in packed.placed for name in one.devices}
    return len(packed.placed), sum(one.option.value for one in packed.placed), -len(used), -len(_islands(used, devices))


def allowed(packed: Packed, devices: Sequence[Device]) -> bool:
    """The rules, said once more and in other words than the search has them."""
    by_name = {device.name: device for device in devices}
    taken: Counter[str] = Counter()
    guests: Counter[str] = Counter()
    hermits = set()
    for one in packed.placed:
        chosen = [by_name[name] for name in one.devices]
        if len(set(one.devices)) != one.option.count or len({device.kind for device in chosen}) != 1:
            return False
        if one.option.kind not in ("", chosen[0].kind) or not _in_tensor_groups(one.option, chosen):
            return False
        for name in one.devices:
            taken[name] += one.option.bytes_per_device
            guests[name] += 1
            if not one.option.bounded:
                hermits.add(name)
    return all(taken[name] <= by_name[name].free_bytes for name in taken) and all(guests[name] == 1 for name in hermits)


def _in_tensor_groups(option: Option, chosen: Sequence[Device]) -> bool:
    sizes = Counter(device.islands[option.reach] or device.name for device in chosen)
    return all(size % option.tensor == 0 for size in sizes.values())


def best_of_all(items: Sequence[Item], devices: Sequence[Device]) -> Score:
    """Every model, every option, every set of devices, and leaving it out."""
    return max(score(packed, devices) for packed in _all_ways(items, devices) if allowed(packed, devices))


def _all_ways(items: Sequence[Item], devices: Sequence[Device]) -> Iterator[Packed]:
    names = [device.name for device in devices]
    ways = [
        [
            None,
            *(Placed(item.name, each, chosen) for each in item.options for chosen in combinations(names, each.count)),
        ]
        for item in items
    ]
    for choice in product(*ways):
        yield Packed(tuple(one for one in choice if one is not None), ())


def best_exclusive(items: Sequence[Item], devices: Sequence[Device]) -> Score:
    """The same for models that share no device, over sets of devices: six on eight are soon counted."""
    found: dict[frozenset[str], tuple[int, float]] = {frozenset(): (0, 0)}
    for item in items:
        single = [way for way in _all_ways([item], devices) if way.placed and allowed(way, devices)]
        after = dict(found)
        for used, (count, value) in found.items():
            for way in single:
                names = frozenset(way.placed[0].devices)
                if not names & used:
                    mine = (count + 1, value + way.placed[0].option.value)
                    after[names | used] = max(after.get(names | used, (0, 0)), mine)
        found = after
    return max((*mine, -len(used), -len(_islands(used, devices))) for used, mine in found.items())


def _islands(used: Collection[str], devices: Sequence[Device]) -> set[str]:
    return {island for device in devices if device.name in used for island in device.islands if island}


@st.composite
def machines(draw: st.DrawFn, most: int) -> tuple[Device, ...]:
    cards = RACKS[draw(st.sampled_from(sorted(RACKS)))]
    count = draw(st.integers(1, min(most, len(cards))))
    start = draw(st.integers(0, len(cards) - count))
    gib = draw(st.lists(st.sampled_from((6, 12, 13, 20)), min_size=count, max_size=count))
    return devices_of(with_free(cards[start : start + count], *gib))


@st.composite
def options(draw: st.DrawFn, counts: Sequence[int], exclusive: bool) -> Option:
    count = draw(st.sampled_from(counts))
    return Option(
        "an option", count, draw(st.integers(1, 21)) * GIB, draw(st.integers(1, 9)),
        tensor=draw(st.sampled_from([size for size in (1, 2, 4) if count % size == 0])),
        reach=draw(st.sampled_from((FABRIC, SWITCH, NUMA, MACHINE))), bounded=not exclusive and draw(st.booleans()),
    )  # fmt: skip


@st.composite
def models(draw: st.DrawFn, most: int, counts: Sequence[int], exclusive: bool = False) -> list[Item]:
    number = draw(st.integers(1, most))
    return [
        Item(f"model {place}", tuple(draw(st.lists(options(counts, exclusive), min_size=0, max_size=2))))
        for place in range(number)
    ]


@settings(deadline=None, max_examples=60)
@given(models(3, (1, 2, 4)), machines(5))
def test_nothing_is_better_than_what_was_found(items: list[Item], devices: tuple[Device, ...]) -> None:
    packed = pack(items, devices)
    assert allowed(packed, devices)
    assert score(packed, devices) == best_of_all(items, devices)


@settings(deadline=None, max_examples=40)
@given(models(4, (1,)), machines(4))
def test_nothing_is_better_where_many_share(items: list[Item], devices: tuple[Device, ...]) -> None:
    assert score(pack(items, devices), devices) == best_of_all(items, devices)


@settings(deadline=None, max_examples=25)
@given(models(6, (1, 2, 3, 4, 8), exclusive=True), machines(8))
def test_six_models_on_eight_devices_of_their_own(items: list[Item], devices: tuple[Device, ...]) -> None:
    packed = pack(items, devices)
    assert packed.exact
    assert allowed(packed, devices)
    assert score(packed, devices) == best_exclusive(items, devices)


@settings(deadline=None, max_examples=60)
@given(models(5, (1, 2, 4)), machines(8))
def test_what_is_placed_and_what_is_left_is_everything(items: list[Item], devices: tuple[Device, ...]) -> None:
    packed = pack(items, devices)
    assert allowed(packed, devices)
    assert sorted([one.name for one in packed.placed] + list(packed.left)) == sorted(item.name for item in items)


@settings(deadline=None, max_examples=40)
@given(models(4, (1, 2, 4)), machines(5))
def test_every_help_helps(items: list[Item], devices: tuple[Device, ...]) -> None:
    packed = pack(items, devices)
    stay = {one.name for one in packed.placed}
    for left in explain(items, devices, packed):
        wanted = [item for item in items if item.name in stay or item.name == left.name]
        assert left.why
        for other in left.without:
            assert pack([item for item in wanted if item.name != other], devices).left == ()
        if left.more_devices:
            freest = max(devices, key=lambda device: device.free_bytes)
            more = [replace(freest, name=f"more {number}") for number in range(left.more_devices)]
            assert pack(wanted, (*devices, *more)).left == ()
        if left.missing_bytes:
            richer = [replace(device, free_bytes=device.free_bytes + left.missing_bytes) for device in devices]
            assert pack([item for item in items if item.name == left.name], richer).left == ()
