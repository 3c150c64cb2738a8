"""How models are laid out: copies before tensor parallelism, identical cards, near ones, free ones."""

from collections import Counter

import pytest

from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.planning.machine.islands import usable
from provisioner.planning.machine.layouts import Site, key, layouts, on_devices
from tests.unit.planning.racks import (
    DENSE,
    GIB,
    LATENT,
    RACKS,
    broken,
    card,
    divides,
    first_that_fits,
    linked,
    no_tensor,
    shape,
    with_free,
)

CASES = [
    ("two-sockets-8x4090", 16, 1, "TP 1: [0] [1] [2] [3] [4] [5] [6] [7]", "it fits one card: a copy on each"),
    ("two-sockets-8x4090", 40, 1, "TP 2: [0,1] [2,3] [4,5] [6,7]", "pairs behind one switch"),
    ("two-sockets-8x4090", 70, 1, "TP 4: [0-3] [4-7]", "four of one socket"),
    ("two-sockets-8x4090", 141, 1, "TP 8: [0-7]", "70B FP16 takes all, also across sockets"),
    ("two-sockets-8x4090", 200, 1, "none", "more than there is"),
    ("two-sockets-8x4090", 300, 2, "TP 8 PP 2 over 2 of 2 nodes: [0-7]", "stages across nodes, tensors inside"),
    ("two-sockets-8x4090", 40, 2, "TP 2 over 1 of 2 nodes: [0,1] [2,3] [4,5] [6,7]", "copies on every node"),
    ("nvswitch-8xh20", 600, 1, "TP 8: [0-7]", "all behind NVSwitch"),
    ("nvswitch-8xh20", 1400, 2, "TP 8 PP 2 over 2 of 2 nodes: [0-7]", "two nodes of eight"),
    ("nvswitch-8xh20", 1400, 5, "TP 8 PP 2 over 2 of 4 nodes: [0-7]", "twice over two nodes, the fifth is left"),
    ("nvswitch-8xh20", 700, 3, "TP 8 over 1 of 3 nodes: [0-7]", "one node holds a copy: one on each"),
    ("one-switch-4xl40s", 60, 1, "TP 2: [0,1] [2,3]", "any two of one switch"),
    ("bridged-pair-and-two-3090", 40, 1, "TP 2: [1,2] [0,3]", "the bridged pair first, the rest makes another"),
    ("bridged-pair-and-two-3090", 60, 1, "TP 4: [0-3]", "then all four"),
    ("two-4090-two-3090", 20, 1, "TP 1: [0] [1]", "the newer of equal memory"),
    ("two-4090-two-3090", 40, 1, "TP 2: [0,1]", "never a 4090 with a 3090"),
    ("two-4090-two-3090", 60, 1, "none", "four unlike cards are not one group"),
    ("cube-mesh-8xv100", 100, 1, "TP 4: [0-3] [4-7]", "quads, each card of which reaches all others"),
    ("cube-mesh-8xv100", 50, 1, "TP 2: [0,1] [2,3] [4,5] [6,7]", "pairs of a quad"),
]


@pytest.mark.parametrize(("rack", "need", "nodes", "expected", "why"), CASES)
def test_the_first_layout_that_fits(rack: str, need: int, nodes: int, expected: str, why: str) -> None:
    assert shape(first_that_fits(Site(RACKS[rack], nodes), need)) == expected, why


def test_no_more_copies_than_are_wanted_and_the_nearest_ones() -> None:
    cards = RACKS["bridged-pair-and-two-3090"]
    assert shape(first_that_fits(Site(cards), 40, copies=1)) == "TP 2: [1,2]"
    assert shape(first_that_fits(Site(cards, 4), 16, copies=6)) == "TP 1 over 1 of 2 nodes: [0] [1] [2] [3]"


def test_a_card_that_others_use_costs_its_own_copy_only() -> None:
    cards = with_free(RACKS["two-sockets-8x4090"], 23, 23, 23, 5, 23, 23, 23, 23)
    assert shape(first_that_fits(Site(cards), 20)) == "TP 1: [0] [1] [2] [4] [5] [6] [7]"
    assert shape(first_that_fits(Site(cards), 80)) == "TP 4: [4-7]"
    assert shape(first_that_fits(Site(cards), 40)) == "TP 2: [0,1] [4,5] [6,7]"


def test_a_few_bytes_do_not_tear_a_near_group_apart() -> None:
    cards = with_free(RACKS["two-sockets-8x4090"], *(23 + offset / 1000 for offset in (5, 0, 7, 1, 6, 2, 8, 3)))
    assert shape(first_that_fits(Site(cards), 80, copies=1)) == "TP 4: [4-7]"
    assert shape(first_that_fits(Site(cards), 4 * 23.0045, copies=1)) == "TP 4: [0,2,4,6]"


def test_two_switches_with_one_free_card_each_still_make_a_pair() -> None:
    cards = with_free(RACKS["two-sockets-8x4090"], 23, 1, 1, 1, 23, 1, 1, 1)
    layout = first_that_fits(Site(cards), 40)
    assert shape(layout) == "TP 2: [0,4]"
    assert layout is not None
    assert layout.because == "TP 2 over the way between NUMA nodes: 0,4"


def test_heads_that_do_not_divide_take_a_pipeline_over_the_sockets() -> None:
    seven_b = replace(DENSE, heads=28, kv_heads=4, layers=28)
    layout = first_that_fits(Site(RACKS["two-sockets-8x4090"]), 150, seven_b)
    assert layout is not None
    assert shape(layout) == "TP 4 PP 2: [0-3]+[4-7]"
    assert layout.because == (
        "TP 4 over NUMA node 0: 0-3, NUMA node 1: 4-7; 2 stages of layers; "
        "as the simpler cut is refused: 28 heads are not divisible by 8"
    )


def test_an_engine_that_only_splits_layers_gets_stages() -> None:
    cards = RACKS["bridged-pair-and-two-3090"][:3]
    assert shape(first_that_fits(Site(cards), 60, refuses=no_tensor)) == "TP 1 PP 3: [0]+[1]+[2]"
    assert shape(first_that_fits(Site(cards), 40, refuses=no_tensor)) == "TP 1 PP 2: [1]+[2]"


def test_three_cards_are_used_where_the_engine_takes_three() -> None:
    cards = RACKS["one-switch-4xl40s"][:3]
    assert shape(first_that_fits(Site(cards), 120, replace(DENSE, heads=24, kv_heads=24))) == "TP 3: [0-2]"
    assert shape(first_that_fits(Site(cards), 120)) == "TP 1 PP 3: [0]+[1]+[2]"


def test_experts_stay_whole_where_the_engine_cannot_cut_them() -> None:
    def blocks(degrees: Degrees) -> str:
        return "192 is not divisible by block_n 128" if degrees.tensor >= 8 and not degrees.expert else ""

    layout = first_that_fits(Site(RACKS["nvswitch-8xh20"]), 600, LATENT, refuses=blocks)
    assert layout is not None
    assert shape(layout) == "TP 8 EP: [0-7]"
    assert "experts stay whole" in layout.because
    assert "block_n 128" in layout.because


def test_a_latent_cache_that_tensors_do_not_divide_gets_data_parallel_ranks() -> None:
    """Attention once a rank: what TP copies to each, DP shares out."""
    found = [layout.degrees for layout in layouts(Site(RACKS["nvswitch-8xh20"]), LATENT, divides(128, 128))]
    after = found[found.index(Degrees(tensor=8)) + 1 :]
    assert Degrees(data=8, expert=True) in after
    assert Degrees(tensor=4, pipeline=2) in after
    assert after.index(Degrees(data=8, expert=True)) < after.index(Degrees(tensor=4, pipeline=2))


def test_contexts_are_divided_where_heads_would_be_copied() -> None:
    """Two KV heads at TP 8 stand on four ranks each; a latent cache stands on all."""
    few = replace(DENSE, kv_heads=2)
    found = [layout.degrees for layout in layouts(Site(RACKS["nvswitch-8xh20"]), few, divides(64, 2))]
    assert [(one.tensor, one.decode_context) for one in found if one.decode_context > 1] == [(4, 2), (8, 4)]
    latent = layouts(Site(RACKS["nvswitch-8xh20"]), LATENT, lambda _degrees: "")
    (whole,) = (one for one in latent if one.degrees == Degrees(tensor=8, decode_context=8))
    assert whole.because == "TP 8 over NVLink group 0-7; each of 8 ranks keeps its part of every context"


def test_pipelines_and_data_ranks_are_not_tried_where_tensors_divide_everything() -> None:
    found = [layout.degrees for layout in layouts(Site(RACKS["one-switch-4xl40s"]), DENSE, divides())]
    assert found == [Degrees(), Degrees(tensor=2), Degrees(tensor=4), Degrees(pipeline=3)]


def test_tensor_parallelism_across_nodes_only_when_asked() -> None:
    site = Site(RACKS["one-switch-4xl40s"], nodes=2)
    assert all(layout.degrees.tensor <= 4 for layout in layouts(site, DENSE, divides()))
    layout = first_that_fits(site, 300, tensor_across_nodes=True)
    assert layout is not None
    assert shape(layout) == "TP 8 over 2 of 2 nodes: [0-3]"
    assert "asked for" in layout.because


def test_no_pipeline_is_longer_than_the_model() -> None:
    site = Site(RACKS["two-sockets-8x4090"], nodes=16)
    short = replace(DENSE, layers=3)
    assert max(layout.degrees.pipeline for layout in layouts(site, short, divides())) == 3


def test_a_failed_card_leaves_seven() -> None:
    cards, excluded = usable([broken(one) if one.index == 6 else one for one in RACKS["nvswitch-8xh20"]])
    assert [one.device for one in excluded] == ["nvidia:6"]
    assert shape(first_that_fits(Site(cards), 300)) == "TP 4: [0-3]"
    assert shape(first_that_fits(Site(cards, 2), 700)) == "TP 4 PP 2 over 2 of 2 nodes: [0-3]"


def test_strength_decides_between_kinds_where_it_is_known() -> None:
    cards = RACKS["two-4090-two-3090"]
    weakest = Site(cards, strength=lambda one: 1.0 if "3090" in one.name else 0.5)
    assert shape(first_that_fits(weakest, 20)) == "TP 1: [2] [3]"


def test_modified_cards_with_the_name_of_others_are_another_kind() -> None:
    cards = [card(0), card(1), replace(card(2), memory_bytes=48 * GIB, free_bytes=47 * GIB)]
    assert shape(first_that_fits(Site(linked(cards, lambda _a, _b: "PHB")), 40)) == "TP 1: [2]"
    assert first_that_fits(Site(with_free(cards[1:], 23, 23)), 40) is None


def test_no_cards_no_layouts() -> None:
    assert list(layouts(Site((), nodes=3), DENSE, divides())) == []


def test_an_engine_is_asked_once_for_each_degrees() -> None:
    asked: Counter[Degrees] = Counter()

    def refuses(degrees: Degrees) -> str:
        asked[degrees] += 1
        return divides()(degrees)

    list(layouts(Site(RACKS["two-4090-two-3090"], nodes=4), DENSE, refuses))
    assert set(asked.values()) == {1}


def test_only_as_much_is_worked_out_as_is_looked_at() -> None:
    asked: list[Degrees] = []

    def refuses(degrees: Degrees) -> str:
        asked.append(degrees)
        return ""

    next(layouts(Site(RACKS["nvswitch-8xh20"], nodes=16), DENSE, refuses))
    assert asked == [Degrees()]


def test_sites_alike_have_one_key() -> None:
    cards = RACKS["nvswitch-8xh20"]
    assert key(Site(cards)) == key(Site(tuple(replace(one, uuid="another") for one in cards)))
    assert key(Site(cards)) != key(Site(cards, nodes=2))
    assert key(Site(cards)) != key(Site(cards[:7]))
    assert len({key(Site(cards)), key(Site(with_free(cards, *range(8))))}) == 2


def test_devices_that_somebody_else_picked_become_a_layout() -> None:
    site = Site(RACKS["two-sockets-8x4090"])
    layout = on_devices(site, Degrees(tensor=2, pipeline=2), ("nvidia:5", "nvidia:1", "nvidia:0", "nvidia:4"))
    assert shape(layout) == "TP 2 PP 2: [0,1]+[4,5]"
    assert layout.because == "TP 2 over PCIe switch 0,1 and 4,5; 2 stages of layers"


@pytest.mark.parametrize("devices", [("nvidia:0",), ("nvidia:0", "nvidia:2"), ("nvidia:0", "nvidia:9")])
def test_devices_that_cannot_be_one_copy_are_no_layout(devices: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="2 like devices are needed"):
        on_devices(Site(RACKS["two-4090-two-3090"]), Degrees(tensor=2), devices)
