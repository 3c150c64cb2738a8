"""Which cards are near each other, and which are out of the question."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from provisioner.accelerators.nvidia import VENDOR
from provisioner.model.facts import Accelerator, Link, Unknown
from provisioner.model.record import replace
from provisioner.phases.gather import gather
from provisioner.planning.machine.islands import MACHINE, Island, islands, levels, nearness, usable
from provisioner.world.machine import RecordedMachine
from tests.unit.planning.racks import H20, RACKS, broken, card, linked, partitioned, two_sockets_8x4090

MACHINES = Path(__file__).parents[2] / "machines"

FOUND = {
    "two-sockets-8x4090": [
        "PCIe switch 0,1", "PCIe switch 2,3", "PCIe switch 4,5", "PCIe switch 6,7",
        "NUMA node 0: 0-3", "NUMA node 1: 4-7", "the way between NUMA nodes: 0-7",
    ],
    "nvswitch-8xh20": ["NVLink group 0-7"],
    "one-switch-4xl40s": ["PCIe switch 0-3"],
    "bridged-pair-and-two-3090": ["NVLink pair 1,2", "NUMA node 0: 0-3"],
    "two-4090-two-3090": ["NUMA node 0: 0-3"],
    "cube-mesh-8xv100": ["NVLink group 0-3", "NVLink group 4-7", "the way between NUMA nodes: 0-7"],
}  # fmt: skip


def recorded(name: str) -> Sequence[Accelerator]:
    found = gather(RecordedMachine(str(MACHINES / f"{name}.json")), {"nvidia": VENDOR}).accelerators["nvidia"]
    assert not isinstance(found, Unknown)
    return found


@pytest.mark.parametrize("rack", RACKS)
def test_islands_are_named_by_what_joins_them(rack: str) -> None:
    assert [island.words for island in islands(RACKS[rack])] == FOUND[rack]


def test_a_recorded_machine_with_nvswitch_is_one_island() -> None:
    assert islands(recorded("h200x8")) == (
        Island("fabric", tuple(f"nvidia:{index}" for index in range(8)), "NVLink group 0-7"),
    )


def test_a_single_card_is_no_island() -> None:
    assert islands(recorded("rtx4090x1")) == ()


@pytest.mark.parametrize("rack", RACKS)
def test_islands_of_each_kind_hold_every_card_once_and_grow(rack: str) -> None:
    cards = RACKS[rack]
    before: tuple[tuple[Accelerator, ...], ...] = tuple((one,) for one in cards)
    for rank, level in enumerate(levels(cards)):
        assert sorted(one.index for island in level for one in island) == list(range(len(cards)))
        assert all(any(set(part) <= set(island) for island in level) for part in before)
        assert all(
            nearness(one, other) <= rank for island in level for one in island for other in island if one != other
        )
        before = level
    assert len(before) == 1


def test_without_links_cards_are_placed_by_their_numa_nodes_and_that_is_said() -> None:
    cards = [card(0, node=0), card(1, node=0), card(2, node=1)]
    assert [island.words for island in islands(cards)] == [
        "NUMA node 0: 0,1 (some links unknown, placed by their NUMA nodes)",
        "the way between NUMA nodes: 0-2 (some links unknown, placed by their NUMA nodes)",
    ]


def test_with_neither_links_nor_nodes_cards_share_a_machine_and_no_more() -> None:
    assert nearness(card(0, node=None), card(1, node=None)) == MACHINE


def test_a_link_whose_way_nobody_could_tell_counts_as_unknown() -> None:
    cards = linked([card(0), card(1)], lambda _a, _b: "unknown")
    assert islands(cards)[0].words.endswith("(some links unknown, placed by their NUMA nodes)")


def test_links_that_nobody_stated_are_those_of_the_board_where_every_card_has_them() -> None:
    cards = linked([card(index, H20) for index in range(4)], lambda _a, _b: "PHB")
    (found,) = islands(cards, lambda _card: "NVLink4 900 GB/s")
    assert found.kind == "fabric"
    assert found.words == "NVLink group 0-3 (links not stated; the catalog has NVLink4 900 GB/s for this card)"


@pytest.mark.parametrize("word", [None, "2-way bridge", "C2C; NVL2 pair optional", "PCIe 4.0 x16"])
def test_a_bridge_that_can_be_bought_is_not_assumed(word: str | None) -> None:
    cards = linked([card(0), card(1)], lambda _a, _b: "PHB")
    assert islands(cards, lambda _card: word)[0].kind == "numa"


def test_refused_peer_to_peer_copies_are_said() -> None:
    cards = [replace(one, links=(Link(1 - one.index, "pcie", "PHB", None, False),)) for one in (card(0), card(1))]
    assert islands(cards)[0].words == "NUMA node 0: 0,1 (without peer-to-peer copies: through the host's memory)"


def test_other_makers_fabrics_keep_their_names() -> None:
    cards = [
        replace(one, vendor="amd", links=(Link(1 - one.index, "xgmi", "XGMI", 1, None),)) for one in (card(0), card(1))
    ]
    assert islands(cards)[0].words == "XGMI pair 0,1"


def test_cards_of_two_makers_are_never_nearer_than_their_machine() -> None:
    mine, theirs = linked([card(0), card(1)], lambda _a, _b: "PIX")
    assert nearness(mine, replace(theirs, vendor="amd")) == MACHINE


def test_what_cannot_be_used_is_left_out_with_its_reason() -> None:
    cards = list(two_sockets_8x4090())
    cards[1] = broken(cards[1])
    cards[2] = partitioned(cards[2])
    cards[3] = replace(cards[3], row_remap="pending: reset the card")
    cards[4] = replace(cards[4], free_bytes=Unknown("no permission"))
    left, excluded = usable(cards, {"nvidia:5": "`qwen3-8b`"})
    assert [one.index for one in left] == [0, 6, 7]
    assert {one.device: one.reason for one in excluded} == {
        "nvidia:1": "GPU is lost",
        "nvidia:2": "cut into MIG instances (1 there): a model is not spread over them",
        "nvidia:3": "memory rows to be remapped, pending: reset the card",
        "nvidia:4": "free memory unknown (no permission)",
        "nvidia:5": "used by `qwen3-8b`",
    }


def test_healthy_cards_are_all_used() -> None:
    left, excluded = usable([replace(card(0), row_remap="ok"), card(1)])
    assert (len(left), excluded) == (2, ())
