"""What holds for every layout: devices and degrees agree, memory never harms, nothing is missed."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.model.facts import Accelerator, Unknown
from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.planning.machine.islands import device_name, islands
from provisioner.planning.machine.layouts import Layout, Site, layouts
from tests.unit.planning.racks import (
    DENSE,
    GIB,
    H20,
    LATENT,
    RACKS,
    card,
    divides,
    first_that_fits,
    linked,
    with_free,
)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    cards = RACKS[draw(st.sampled_from(sorted(RACKS)))]
    cards = cards[: draw(st.integers(1, len(cards)))]
    gib = draw(st.lists(st.sampled_from((0, 4, 10, 11, 20, 23)), min_size=len(cards), max_size=len(cards)))
    return Site(with_free(cards, *gib), draw(st.integers(1, 5)))


geometries = st.sampled_from(
    (DENSE, LATENT, replace(DENSE, heads=28, kv_heads=4), replace(DENSE, kv_heads=2, experts=8))
)
wanted = st.none() | st.integers(1, 9)


def _all(site: Site, copies: int | None, geometry: object = DENSE) -> list[Layout]:
    assert isinstance(geometry, type(DENSE))
    return list(layouts(site, geometry, divides(geometry.heads, geometry.kv_heads), copies))


@settings(deadline=None)
@given(sites(), geometries, wanted)
def test_devices_and_degrees_agree(site: Site, geometry: object, copies: int | None) -> None:
    cards = {device_name(one): one for one in site.cards}
    for layout in _all(site, copies, geometry):
        degrees = layout.degrees
        assert len(set(layout.devices)) == len(layout.devices), "no device twice"
        assert set(layout.devices) <= set(cards)
        assert all(sum(map(len, copy)) * degrees.nodes == degrees.ranks for copy in layout.copies)
        assert all(len(stage) == degrees.tensor for copy in layout.copies for stage in copy)
        assert 1 <= degrees.nodes <= layout.nodes <= site.nodes
        assert layout.nodes % degrees.nodes == 0
        assert layout.free_bytes == min(_free(cards[device]) for device in layout.devices)
        assert _identical([cards[device] for device in layout.devices])
        assert layout.because


@settings(deadline=None)
@given(sites(), geometries, wanted)
def test_what_comes_out_was_not_refused(site: Site, geometry: object, copies: int | None) -> None:
    assert isinstance(geometry, type(DENSE))
    refuses = divides(geometry.heads, geometry.kv_heads)
    assert not any(refuses(layout.degrees) for layout in _all(site, copies, geometry))


@settings(deadline=None)
@given(sites(), st.integers(1, 9))
def test_no_node_more_than_the_copies_need(site: Site, copies: int) -> None:
    for layout in _all(site, copies):
        assert layout.replicas - copies < len(layout.copies)


@settings(deadline=None)
@given(sites())
def test_no_layout_comes_that_an_earlier_one_rules_out(site: Site) -> None:
    best: dict[tuple[Degrees, str], int] = {}
    for layout in _all(site, None):
        kind = (layout.degrees, layout.card.name)
        if layout.degrees.nodes == 1:
            assert layout.free_bytes > best.get(kind, -1)
            best[kind] = layout.free_bytes


@settings(deadline=None)
@given(sites(), st.integers(0, 7), st.integers(1, 24), geometries)
def test_more_free_memory_never_removes_a_layout(site: Site, place: int, gib: int, geometry: object) -> None:
    cards = list(site.cards)
    one = cards[place % len(cards)]
    cards[place % len(cards)] = replace(one, free_bytes=min(_total(one), _free(one) + gib * GIB))
    after = _all(replace(site, cards=tuple(cards)), None, geometry)
    for layout in _all(site, None, geometry):
        assert any(
            other.degrees == layout.degrees
            and other.card.name == layout.card.name
            and other.replicas >= layout.replicas
            and other.free_bytes >= layout.free_bytes
            for other in after
        )


@settings(deadline=None)
@given(sites(), st.integers(1, 200))
def test_the_most_copies_that_can_fit_are_found(site: Site, need: int) -> None:
    """Held against counting: of each kind, as many cards as have their share, in groups of the size."""
    layout = first_that_fits(Site(site.cards), need)
    if layout is not None and layout.degrees.pipeline == 1:
        size = layout.degrees.tensor
        enough = Counter(one.name for one in site.cards if _free(one) * size >= need * GIB)
        assert layout.replicas == enough[layout.card.name] // size


@settings(deadline=None)
@given(sites())
def test_the_nearest_group_is_taken_where_all_are_free(site: Site) -> None:
    cards = tuple(replace(one, free_bytes=20 * GIB) for one in site.cards)
    pairs = [
        island for island in islands(cards) if _identical([one for one in cards if device_name(one) in island.devices])
    ]
    for layout in _all(Site(cards), 1):
        if layout.degrees == Degrees(tensor=2) and pairs:
            (group,) = layout.copies[0]
            nearest = [island for island in pairs if island.kind == pairs[0].kind]
            if layout.card.name in {one.name for one in cards if device_name(one) in pairs[0].devices}:
                assert any(set(group) <= set(island.devices) for island in nearest)


def _free(one: Accelerator) -> int:
    assert not isinstance(one.free_bytes, Unknown)
    return min(one.free_bytes, _total(one))


def _total(one: Accelerator) -> int:
    assert not isinstance(one.memory_bytes, Unknown)
    return one.memory_bytes


def _identical(cards: Sequence[Accelerator]) -> bool:
    return len({(one.name, one.memory_bytes) for one in cards}) == 1


def test_h20_and_its_larger_sister_do_not_mix() -> None:
    cards = [card(0, H20), card(1, ("NVIDIA H20-3e", 143771, "9.0"))]
    assert _all(Site(linked(cards, lambda _a, _b: "NV18")), None)[-1].degrees.tensor == 1
