"""Several models on one machine: who goes where, who shares, who is left and why."""

import time

import pytest

from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.planning.machine.islands import FABRIC, NUMA, SWITCH
from provisioner.planning.machine.layouts import Site, layouts, on_devices
from provisioner.planning.several.packing import Item, Option, Packed, devices_of, option_of, pack
from provisioner.planning.several.unplaced import Unplaced, explain
from tests.unit.planning.racks import DENSE, GIB, RACKS, divides, shape, with_free


def option(count: int, gib: float, value: float = 1, **more: object) -> Option:
    return Option(f"{count} x {gib:g}", count, int(gib * GIB), value, tensor=count, **more)  # type: ignore[arg-type]


def placed(packed: Packed) -> dict[str, str]:
    return {one.name: " ".join(name.partition(":")[2] for name in one.devices) for one in packed.placed}


EIGHT = devices_of(with_free(RACKS["two-sockets-8x4090"], *[23] * 8))
BRIDGED = devices_of(with_free(RACKS["bridged-pair-and-two-3090"], *[23] * 4))
UNLIKE = devices_of(with_free(RACKS["two-4090-two-3090"], *[23] * 4))


def test_a_large_group_stays_on_one_socket_and_the_small_ones_beside_it() -> None:
    items = [
        Item("chat", (option(1, 16),)),
        Item("large", (option(4, 20, reach=NUMA),)),
        Item("code", (option(2, 18, reach=SWITCH),)),
    ]
    assert placed(pack(items, EIGHT)) == {"large": "0 1 2 3", "code": "4 5", "chat": "6"}


def test_models_that_keep_to_their_bytes_share_a_device() -> None:
    items = [Item("chat", (option(1, 12),)), Item("embed", (option(1, 3),)), Item("rerank", (option(1, 8),))]
    assert placed(pack(items, EIGHT)) == {"chat": "0", "embed": "0", "rerank": "0"}


def test_an_engine_without_a_limit_has_its_device_alone() -> None:
    items = [Item("chat", (option(1, 12, bounded=False),)), Item("embed", (option(1, 3),))]
    found = placed(pack(items, EIGHT))
    assert found["chat"] != found["embed"]


def test_a_lesser_option_is_taken_when_it_makes_room_for_another_model() -> None:
    items = [Item("a", (option(4, 20, 9), option(2, 20, 1))), Item("b", (option(2, 20),))]
    assert [one.option.count for one in pack(items, BRIDGED).placed] == [2, 2]


def test_the_bridged_pair_goes_to_whom_it_is_worth_more() -> None:
    items = [
        Item("a", (option(2, 20, 5, reach=FABRIC), option(2, 20, 4))),
        Item("b", (option(2, 20, 9, reach=FABRIC), option(2, 20, 1))),
    ]
    assert placed(pack(items, BRIDGED)) == {"a": "0 3", "b": "1 2"}


def test_a_group_is_never_of_two_kinds() -> None:
    assert pack([Item("a", (option(4, 10),)), Item("b", (option(3, 10),))], UNLIKE).left == ("a", "b")
    assert placed(pack([Item("a", (option(2, 10, kind=UNLIKE[3].kind),))], UNLIKE)) == {"a": "2 3"}


def test_stages_of_a_pipeline_are_groups_of_their_own() -> None:
    stages = Option("TP 4 PP 2", 8, 20 * GIB, 1, tensor=4, reach=NUMA)
    assert len(pack([Item("a", (stages,))], EIGHT).placed) == 1
    assert pack([Item("a", (replace(stages, tensor=8),))], EIGHT).left == ("a",)


def test_a_model_that_does_not_fit_beside_the_others_says_so_and_what_helps() -> None:
    items = [Item("a", (option(2, 20),)), Item("b", (option(2, 20),)), Item("c", (option(1, 20),))]
    (left,) = explain(items, BRIDGED, pack(items, BRIDGED))
    assert left.why.startswith("it would fit alone, not beside")
    assert (
        left.helps[-1] == f"{left.more_devices} more device{'s' if left.more_devices > 1 else ''} like the freest one"
    )
    for other in left.without:
        assert pack([item for item in items if item.name != other], BRIDGED).left == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((option(2, 30, reach=SWITCH), option(1, 50)),
         Unplaced("a", "it needs 30 GiB on each of 2 devices, and no more than 23 GiB is free on each of 2 devices", missing_bytes=7 * GIB)),
        ((option(3, 20, reach=SWITCH),),
         Unplaced("a", "it needs 20 GiB on each of 3 devices, and there are not 3 alike near enough to each other", more_devices=1)),
        ((option(1, 20, kind="another"),), Unplaced("a", "it needs 20 GiB on one device, and there are not 1 alike")),
        ((), Unplaced("a", "there is no way to run it on this kind of device")),
    ],
)  # fmt: skip
def test_a_model_that_does_not_fit_at_all_says_what_it_lacks(options: tuple[Option, ...], expected: Unplaced) -> None:
    items = [Item("a", options)]
    assert explain(items, EIGHT, pack(items, EIGHT)) == (expected,)


def test_layouts_of_two_models_are_packed_and_become_layouts_again() -> None:
    site = Site(with_free(RACKS["two-sockets-8x4090"], *[23] * 8))
    found = {layout.degrees: layout for layout in layouts(site, DENSE, divides(), 1)}
    items = [
        Item("large", (option_of(found[Degrees(tensor=4)], 20 * GIB, 1, reach=NUMA),)),
        Item("small", (option_of(found[Degrees(tensor=2)], 20 * GIB, 2), option_of(found[Degrees()], 15 * GIB, 1))),
    ]
    large, small = pack(items, devices_of(site.cards)).placed
    assert shape(on_devices(site, Degrees(tensor=4), large.devices)) == "TP 4: [0-3]"
    assert shape(on_devices(site, Degrees(tensor=2), small.devices)) == "TP 2: [4,5]"


def test_one_switch_is_broken_into_rather_than_two() -> None:
    devices = devices_of(with_free(RACKS["two-sockets-8x4090"], 20, 23, 20, 23, 23, 23, 23, 23))
    assert placed(pack([Item("a", (option(1, 20),)), Item("b", (option(1, 20),))], devices)) == {"a": "0", "b": "1"}


def test_the_fuller_device_is_left_alone_where_the_other_holds_both() -> None:
    devices = devices_of(with_free(RACKS["one-switch-4xl40s"][:2], 12, 20))
    assert placed(pack([Item("a", (option(1, 12),)), Item("b", (option(1, 8),))], devices)) == {"a": "1", "b": "1"}


def test_two_devices_are_worth_more_to_the_second_model() -> None:
    """The first ways that are tried leave the machine as full, and bring less."""
    items = [
        Item("a", (option(2, 40, 5), option(1, 40, 4))),
        Item("b", (option(2, 40, 9), option(1, 40, 1))),
        Item("c", (option(1, 40),)),
    ]
    packed = pack(items, devices_of(RACKS["one-switch-4xl40s"]))
    assert {one.name: one.option.count for one in packed.placed} == {"a": 1, "b": 2, "c": 1}


def test_two_models_of_little_value_are_more_than_one_of_much() -> None:
    devices = devices_of(with_free(RACKS["one-switch-4xl40s"][:1], 12))
    wanted = {"z": (11, 6), "a": (10, 5), "b": (6, 1), "c": (6, 1)}
    packed = pack([Item(name, (option(1, gib, value),)) for name, (gib, value) in wanted.items()], devices)
    assert set(placed(packed)) == {"b", "c"}


def test_a_machine_without_devices_places_nothing() -> None:
    items = [Item("a", (option(1, 1),))]
    packed = pack(items, ())
    assert packed == Packed((), ("a",))
    assert explain(items, (), packed)[0].helps == ()


def test_the_same_question_has_the_same_answer() -> None:
    items = [Item(name, (option(1, 10), option(2, 5, 2))) for name in "abcd"]
    assert pack(items, EIGHT) == pack(list(items), EIGHT)


def test_six_models_on_eight_like_devices_are_packed_at_once() -> None:
    sizes = (6, 9, 16, 40, 70, 141)
    items = [Item(f"{size}", tuple(option(n, size / n, n) for n in (1, 2, 4, 8) if size / n < 23)) for size in sizes]
    begin = time.process_time()
    packed = pack(items, EIGHT)
    assert time.process_time() - begin < 0.5, "50 ms is usual; a busy machine gets ten times as much"
    assert packed.exact
    assert packed.left == ("141",)
