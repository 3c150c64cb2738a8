"""Gathering: each question once, a failing probe beside facts that are intact, the same facts from every form of a machine."""

from collections import Counter
from pathlib import Path

import pytest

from provisioner.accelerators.nvidia import VENDOR
from provisioner.model.facts import (
    Accelerator,
    Answers,
    AskDocker,
    AskKernel,
    AskNvml,
    CannotAsk,
    Cpu,
    HostFacts,
    NotThere,
    Question,
    ReadFiles,
    Unknown,
)
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine
from tests.machines.compose import composed, text

MACHINES = Path(__file__).parent.parent.parent / "machines"
VENDORS = {"nvidia": VENDOR}


class Counting:
    """A machine that counts what it is asked, and cannot answer some kinds of questions."""

    def __init__(self, name: str, *silent: type) -> None:
        self._machine = RecordedMachine(str(MACHINES / f"{name}.json"))
        self._silent = silent
        self.asked: Counter[Question] = Counter()

    def ask(self, question: Question) -> Answers:
        self.asked[question] += 1
        if isinstance(question, self._silent):
            raise CannotAsk("no answer today")
        return self._machine.ask(question)


def devices(facts: HostFacts) -> tuple[Accelerator, ...]:
    found = facts.accelerators["nvidia"]
    assert not isinstance(found, Unknown)
    return found


def test_each_question_is_asked_once() -> None:
    machine = Counting("h200x8")
    gather(machine, VENDORS)
    assert set(machine.asked.values()) == {1}
    assert sum(isinstance(question, AskNvml) for question in machine.asked) == 1


@pytest.mark.parametrize("silent", [AskNvml, AskDocker, AskKernel])
def test_a_probe_that_fails_leaves_the_others_intact(silent: type) -> None:
    facts, whole = gather(Counting("h200x8", silent), VENDORS), gather(Counting("h200x8"), VENDORS)
    assert (facts.cpu, facts.numa, facts.disks, facts.pci) == (whole.cpu, whole.numa, whole.disks, whole.pci)
    if silent is AskNvml:
        assert facts.accelerators == {"nvidia": Unknown("no answer today")}
        assert facts.software.nvidia_driver == whole.software.nvidia_driver
    else:
        assert facts.accelerators == whole.accelerators
    if silent is AskDocker:
        assert facts.software.docker == Unknown("no answer today")


def test_nothing_and_no_answer_are_told_apart() -> None:
    class Empty:
        def ask(self, question: Question) -> Answers:
            if isinstance(question, AskDocker | AskNvml):
                raise NotThere("none")
            return {} if isinstance(question, ReadFiles) else dict.fromkeys((), "")

    facts = gather(Empty(), VENDORS)
    assert isinstance(facts.cpu, Unknown)
    assert (facts.numa, facts.disks, facts.pci, facts.accelerators) == ((), (), (), {"nvidia": ()})
    assert (facts.software.docker, facts.software.nvidia_driver) == (None, None)


def test_accelerators_get_the_node_that_the_bus_shows() -> None:
    facts = gather(RecordedMachine(str(MACHINES / "h200x8.json")), VENDORS)
    assert [device.numa_node for device in devices(facts)] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert isinstance(facts.cpu, Cpu)
    assert (facts.cpu.sockets, facts.cpu.cores, facts.cpu.threads) == (2, 64, 128)


def test_every_fact_says_where_it_came_from() -> None:
    facts = gather(RecordedMachine(str(MACHINES / "small-vm.json")), VENDORS)
    assert {"cpu", "numa", "memory", "limits", "disks", "filesystems", "network", "pci", "docker"} <= set(facts.sources)
    assert facts.sources["accelerators.nvidia"] == "NVML"


@pytest.mark.parametrize("name", sorted(composed()))
def test_composed_machines_are_what_their_module_makes(name: str) -> None:
    assert (MACHINES / f"{name}.json").read_text(encoding="utf-8") == text(composed()[name])
