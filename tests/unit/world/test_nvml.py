"""NVIDIA's library asked for cards of all kinds of health, and its answers understood."""

import json
import time
from types import ModuleType, SimpleNamespace
from typing import cast

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.accelerators.nvidia import VENDOR, address, parse
from provisioner.model.facts import Accelerator, CannotAsk, DeviceProcess, Link, Mig, Unknown
from provisioner.world import nvml
from tests.unit.world.nvml_double import Card, Nvml, refuse

MIB = 1 << 20
DRIVER = "580.95.05"


def cards(double: Nvml, seconds: float = 5.0) -> tuple[Accelerator, ...]:
    return parse({"nvml": json.dumps(nvml.document(module(double), DRIVER, seconds))})


def module(double: Nvml) -> ModuleType:
    return cast(ModuleType, double)


def test_every_function_of_the_double_is_one_of_the_library() -> None:
    ours = {name for name in vars(Nvml) if name.lower().startswith("nvml")}
    assert {name for name in ours if not hasattr(pynvml, name)} == set()


def test_every_function_that_is_asked_is_one_of_the_library() -> None:
    with open(nvml.__file__, encoding="utf-8") as source:
        words = source.read().replace("(", " ").replace(",", " ").replace(")", " ").replace(":", " ").split()
    asked = {word.removeprefix("nvml.").split(".")[0] for word in words if word.startswith("nvml.nvml")}
    assert len(asked) > 20
    assert {name for name in asked if not hasattr(pynvml, name) or not hasattr(Nvml, name)} == set()


def test_h200() -> None:
    process = SimpleNamespace(pid=4711, usedGpuMemory=2048 * MIB)
    (card,) = cards(Nvml(Card(processes=(process,))))
    assert card.name == "NVIDIA H200"
    assert card.memory_bytes == 143771 * MIB
    assert card.free_bytes == 143171 * MIB
    assert (card.compute_capability, card.pci, card.links) == ("9.0", "0000:1a:00.0", ())
    assert card.processes == (DeviceProcess(4711, "python3", 2048 * MIB),)
    assert (card.pcie_generation, card.pcie_width, card.pcie_max_generation, card.pcie_max_width) == (5, 16, 5, 16)
    assert (card.ecc, card.ecc_errors, card.row_remap, card.persistence) == (True, 0, "ok", True)
    assert (card.mig, card.problem) == (Mig(enabled=False, instances=()), None)


def test_versions_that_do_not_match_are_told_apart_from_no_card() -> None:
    with pytest.raises(
        CannotAsk, match=r"NVML: Driver/library version mismatch \(580.95.05 loaded, .* in user space\)"
    ):
        nvml.document(module(Nvml(start=refuse("Driver/library version mismatch"))), DRIVER)


def test_a_missing_library_is_told() -> None:
    with pytest.raises(CannotAsk, match="NVML Shared Library Not Found"):
        nvml.document(module(Nvml(start=refuse("NVML Shared Library Not Found"))), DRIVER)


def test_a_card_without_driver_is_told() -> None:
    with pytest.raises(CannotAsk, match="not loaded"):
        nvml.answer(None)


def test_the_real_bindings_without_a_driver_say_so() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        with pytest.raises(CannotAsk, match="NVML: "):
            nvml.answer(DRIVER)
    else:
        pytest.skip("there is a driver here")


def test_a_card_that_hangs_does_not_hide_the_others() -> None:
    begin = time.monotonic()
    healthy, hung = cards(Nvml(Card(), Card(hangs=True)), seconds=0.3)
    assert time.monotonic() - begin < 3
    assert healthy.memory_bytes == 143771 * MIB
    assert hung.index == 1
    assert hung.problem == "did not answer within 0.3 s"
    assert hung.memory_bytes == Unknown("did not answer within 0.3 s")


def test_a_lost_card_keeps_its_place() -> None:
    lost, healthy = cards(Nvml(Card(lost=refuse("GPU is lost")), Card()))
    assert (lost.problem, healthy.problem) == ("GPU is lost", None)
    assert isinstance(lost.processes, Unknown)


def test_shared_memory_is_unknown_and_says_why() -> None:
    (card,) = cards(Nvml(Card(name="NVIDIA GB10", memory=refuse(), capability=(12, 1), mig=refuse(), rows=refuse())))
    assert card.memory_bytes == Unknown("NVIDIA GB10 shares the host's memory")
    assert (card.compute_capability, card.mig, card.row_remap) == ("12.1", None, None)


def test_mig() -> None:
    (card,) = cards(Nvml(Card(mig=(1, 1), instances=("MIG-a", "MIG-b"))))
    assert card.mig == Mig(enabled=True, instances=("MIG-a NVIDIA H200 MIG 1g.18gb", "MIG-b NVIDIA H200 MIG 1g.18gb"))


@pytest.mark.parametrize(
    ("rows", "words"), [((1, 0, 0, 0), "ok"), ((0, 1, 1, 0), "pending: reset the card"), ((0, 9, 0, 1), "failed: replace the card")]
)  # fmt: skip
def test_row_remapping(rows: tuple[int, ...], words: str) -> None:
    assert cards(Nvml(Card(rows=rows)))[0].row_remap == words


def test_links_through_a_switch() -> None:
    one, two = cards(Nvml(Card(switched_lanes=18), Card(bus="00000000:3B:00.0", switched_lanes=18)))
    assert one.links == (Link(to=1, kind="nvlink", hops="NV18", lanes=18, peer_to_peer=True),)
    assert two.links == (Link(to=0, kind="nvlink", hops="NV18", lanes=18, peer_to_peer=True),)


def test_links_over_a_bridge_between_two_of_three() -> None:
    one, _, three = cards(
        Nvml(
            Card(direct={"00000000:3B:00.0": 4}),
            Card(bus="00000000:3B:00.0", direct={"00000000:1A:00.0": 4}),
            Card(bus="00000000:5E:00.0"),
        )
    )
    assert [(link.to, link.kind, link.hops, link.lanes) for link in one.links] == [
        (1, "nvlink", "NV4", 4),
        (2, "pcie", "NODE", None),
    ]
    assert {link.kind for link in three.links} == {"pcie"}


def test_the_kernel_writes_addresses_differently() -> None:
    assert address("00000000:1A:00.0") == "0000:1a:00.0"
    assert address("10000:1A:00.0") == "10000:1a:00.0"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["index", "name", "uuid", "pci", "memory", "compute_capability", "ecc", "remapped_rows", "mig", "processes", "nvlinks", "peers", "unknown"])  # fmt: skip


@given(st.lists(st.dictionaries(KEYS, JSON), max_size=3) | JSON)
def test_any_document_is_understood_or_refused(devices: object) -> None:
    try:
        found = VENDOR.probe.parse({"nvml": json.dumps({"devices": devices})})
    except ValueError:
        return
    assert all(isinstance(each, Accelerator) for each in found)
