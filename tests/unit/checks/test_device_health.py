"""What is told of accelerators that work, but not as they could."""

from pathlib import Path

import pytest

from provisioner.accelerators.nvidia import VENDOR
from provisioner.checks.device_health import CHECK
from provisioner.model.facts import Accelerator, HostFacts, Mig, Unknown
from provisioner.model.plan import Parallel, Plan
from provisioner.model.plugins import View
from provisioner.model.record import replace
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine

MACHINES = Path(__file__).parent.parent.parent / "machines"
NOTHING = Plan("", "", "", None, None, None, Parallel(), 0, None, None, (), (), "", (), ())


def facts_of(name: str) -> HostFacts:
    return gather(RecordedMachine(str(MACHINES / f"{name}.json")), {"nvidia": VENDOR})


def told(facts: HostFacts) -> list[tuple[str, str]]:
    return [(each.level, each.message) for each in CHECK.run(View(NOTHING, facts, None, {}, ""))]


def h100() -> tuple[HostFacts, Accelerator]:
    facts = facts_of("h100x1")
    devices = facts.accelerators["nvidia"]
    assert not isinstance(devices, Unknown)
    return facts, devices[0]


@pytest.mark.parametrize("name", ["h100x1", "h200x8", "small-vm", "broken-driver"])
def test_healthy_or_unseen_devices_are_not_mentioned(name: str) -> None:
    assert told(facts_of(name)) == []


def test_a_narrow_link_is_a_warning() -> None:
    assert told(facts_of("rtx4090x1")) == [
        ("warning", "nvidia:0 (NVIDIA GeForce RTX 4090): PCIe runs with 8 of 16 lanes")
    ]


@pytest.mark.parametrize(
    ("changes", "level", "words"),
    [
        ({"row_remap": "pending: reset the card"}, "warning", "row remapping pending"),
        ({"row_remap": "failed: replace the card"}, "warning", "row remapping failed"),
        ({"ecc_errors": 3}, "warning", "3 uncorrected memory errors"),
        ({"pcie_generation": 1}, "note", "generation 1 of 5"),
        ({"mig": Mig(enabled=True, instances=("a", "b"))}, "note", "MIG is on, with 2 instances"),
        ({"problem": "GPU is lost"}, "warning", "GPU is lost"),
    ],
)
def test_each_ailment_is_named_and_stops_nothing_while_the_card_is_not_used(
    changes: dict[str, object], level: str, words: str
) -> None:
    facts, device = h100()
    (found,) = told(replace(facts, accelerators={"nvidia": (replace(device, **changes),)}))  # type: ignore[arg-type]
    assert found[0] == level
    assert words in found[1]
