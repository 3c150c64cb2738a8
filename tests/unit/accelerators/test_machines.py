"""Whole machines with other makers' devices: whom a tool is started for, what is found, and that a recording says the same."""

import json
from pathlib import Path
from typing import cast

import jsonschema
import pytest

from provisioner.accelerators import ascend
from provisioner.catalog import load_catalog, scan
from provisioner.facts.document import facts_document, facts_from_document
from provisioner.model.facts import Accelerator, Answers, AskTools, HostFacts, PciDevice, Question, Unknown
from provisioner.model.plugins import Vendor
from provisioner.phases.gather import gather
from provisioner.planning.asked.devices import entry_of
from provisioner.world.machine import RecordedMachine
from provisioner.world.recorder import Recorder
from tests.machines.compose import composed
from tests.machines.vendors import vendors

ROOT = Path(__file__).parents[3]
MACHINES = ROOT / "tests/machines"
SCHEMA = json.loads((ROOT / "docs/reference/facts.schema.json").read_text(encoding="utf-8"))
VENDORS = cast("dict[str, Vendor]", scan("provisioner.accelerators", "VENDOR"))
CATALOG = load_catalog()
MINE = sorted(vendors())


class Listening:
    """A recorded machine that remembers which tools it was asked for."""

    def __init__(self, name: str) -> None:
        self._machine = RecordedMachine(str(MACHINES / f"{name}.json"))
        self.questions: list[AskTools] = []

    def ask(self, question: Question) -> Answers:
        if isinstance(question, AskTools):
            self.questions.append(question)
        return self._machine.ask(question)

    @property
    def programs(self) -> set[str]:
        return {command.partition(" ")[0] for question in self.questions for command in question.commands}


def facts_of(name: str) -> HostFacts:
    return gather(RecordedMachine(str(MACHINES / f"{name}.json")), VENDORS)


def devices(facts: HostFacts) -> dict[str, list[Accelerator]]:
    found = {vendor: known for vendor, known in facts.accelerators.items() if not isinstance(known, Unknown)}
    return {vendor: [*known] for vendor, known in found.items() if known}


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        ("mi300x8", {"amd-smi"}), ("mi300x-cpx", {"amd-smi"}), ("ascend-910b4x2", {"npu-smi"}), ("ascend-910c", {"npu-smi"}),
        ("ascend-without-tool", {"npu-smi"}), ("k100-ai-x2", {"hy-smi"}), ("p800", {"xpu-smi", "xpu_smi"}), ("arc-b570", {"xpu-smi"}),
        ("apple-m4-max", {"sysctl", "vm_stat", "sw_vers", "df", "mount", "system_profiler", "ifconfig", "networksetup"}), ("apple-intel-32g", {"sysctl", "vm_stat", "sw_vers", "df", "mount", "system_profiler", "ifconfig", "networksetup"}), ("c550x2", {"mx-smi"}), ("intel-graphics", set()), ("small-vm", set()), ("h200x8", set()), ("gpu-without-driver", set()),
    ],
)  # fmt: skip
def test_a_tool_is_only_started_where_its_device_is_seen(name: str, programs: set[str]) -> None:
    """And all that are started run side by side: there is one question, or none."""
    machine = Listening(name)
    gather(machine, VENDORS)
    assert machine.programs == programs
    assert len(machine.questions) == bool(programs)


@pytest.mark.parametrize(
    ("name", "vendor", "expected"),
    [
        ("mi300x8", "amd", ["mi300x-192g"] * 8),
        ("ascend-910b4x2", "ascend", ["ascend-910b4"] * 2),
        ("ascend-910c", "ascend", ["ascend-910c"] * 4),
        ("k100-ai-x2", "hygon", ["hygon-k100-ai"] * 2),
        ("p800", "kunlun", ["kunlun-p800", None]),
        ("arc-b570", "intel", ["arc-b570-10g", None]),
        ("apple-m4-max", "apple", ["apple-m4-max"]),
        ("c550x2", "metax", ["metax-c550"] * 2),
    ],
)
def test_the_catalog_knows_what_the_tools_call_them(name: str, vendor: str, expected: list[str | None]) -> None:
    found = devices(facts_of(name))
    assert [*found] == [vendor]
    entries = [entry_of(CATALOG, each) for each in found[vendor]]
    assert [entry.id if entry else None for entry in entries] == expected
    for entry, each in zip(entries, found[vendor], strict=True):
        if entry and entry.memory_bytes:
            assert abs(entry.memory_bytes - cast(int, each.memory_bytes)) <= entry.memory_bytes * 0.05


@pytest.mark.parametrize(
    ("card", "memory_mib", "entry"),
    [("NVIDIA GeForce RTX 4090", 24564, "rtx4090-24g"), ("NVIDIA GeForce RTX 4090", 49139, "rtx4090-48g-mod"), ("Apple M2 Ultra", 1, "apple-ultra"),
     ("Ascend910", 65536, "ascend-910c"), ("910B", 32768, None), ("Ascend 910B (2019)", 32768, None)],
)  # fmt: skip
def test_cards_of_one_name_are_told_apart_by_memory(card: str, memory_mib: int, entry: str | None) -> None:
    from provisioner.accelerators._reading import BARE
    from provisioner.model.record import replace

    found = entry_of(CATALOG, replace(BARE, name=card, memory_bytes=memory_mib << 20))
    assert (found.id if found else None) == entry


def test_infinity_fabric_reaches_every_card() -> None:
    found = devices(facts_of("mi300x8"))["amd"]
    assert [[link.to for link in each.links] for each in found] == [
        [to for to in range(8) if to != at] for at in range(8)
    ]
    assert {(link.kind, link.hops) for each in found for link in each.links} == {("xgmi", "XGMI")}
    assert [each.numa_node for each in found] == [0] * 4 + [1] * 4


def test_without_the_tool_the_device_is_still_on_the_bus_and_the_rest_is_known() -> None:
    facts, whole = facts_of("ascend-without-tool"), facts_of("ascend-910b4x2")
    assert facts.accelerators["ascend"] == Unknown("npu-smi is not installed")
    assert isinstance(facts.pci, tuple)
    assert [device.address for device in facts.pci if device.class_id == "120000"] == ["0000:c1:00.0"]
    assert (facts.cpu, facts.memory, facts.numa, facts.disks) == (whole.cpu, whole.memory, whole.numa, whole.disks)


def test_what_stands_in_a_server_beside_accelerators_is_none() -> None:
    """The management's display controller is Huawei's, too; a QuickAssist card is a coprocessor of Intel's."""
    facts = facts_of("ascend-910c")
    assert isinstance(facts.pci, tuple)
    assert "0000:06:00.0" in [device.address for device in facts.pci]
    assert "0000:06:00.0" not in [each.pci for each in devices(facts)["ascend"]]
    assert devices(facts_of("intel-graphics")) == {}
    assert not [known for known in facts_of("intel-graphics").accelerators.values() if isinstance(known, Unknown)]


def test_a_container_without_a_bus_shows_its_device_nodes(tmp_path: Path) -> None:
    machine = vendors()["ascend-910b4x2"]
    files = cast("dict[str, str]", machine["files"])
    machine["files"] = {path: text for path, text in files.items() if not path.startswith("/sys/bus/pci")}
    (tmp_path / "machine.json").write_text(json.dumps(machine), encoding="utf-8")
    facts = gather(RecordedMachine(str(tmp_path / "machine.json")), VENDORS)
    assert facts.pci == ()
    assert [each.name for each in devices(facts)["ascend"]] == ["910B4"] * 2


@pytest.mark.parametrize("name", MINE)
@pytest.mark.parametrize("form", ["folder", "file.json"])
def test_a_recording_of_a_recording_says_the_same(name: str, form: str, tmp_path: Path) -> None:
    recorder = Recorder(RecordedMachine(str(MACHINES / f"{name}.json")))
    shown = facts_document(gather(recorder, VENDORS))
    recorder.write(str(tmp_path / form))
    again = gather(RecordedMachine(str(tmp_path / form)), VENDORS)
    assert json.dumps(facts_document(again)) == json.dumps(shown)


@pytest.mark.parametrize("name", MINE)
def test_the_document_fits_its_schema_and_reads_back(name: str) -> None:
    facts = facts_of(name)
    document = json.loads(json.dumps(facts_document(facts)))
    jsonschema.validate(document, SCHEMA)
    assert facts_from_document(document) == facts
    assert {f"accelerators.{vendor}" for vendor in VENDORS} <= set(document["sources"])


def test_a_document_of_an_older_release_is_read() -> None:
    """The fields that came with these makers have defaults."""
    document = json.loads(json.dumps(facts_document(facts_of("h200x8"))))
    for card in document["accelerators"]:
        for field in ("architecture", "part_of", "shares_host_memory", "driver"):
            del card[field]
    assert facts_from_document(document) == facts_of("h200x8")


def test_every_tool_that_hangs_leaves_the_other_facts() -> None:
    class Silent(Listening):
        def ask(self, question: Question) -> Answers:
            if isinstance(question, AskTools):
                return dict.fromkeys(question.commands, Unknown("did not answer within 10 s"))
            return super().ask(question)

    facts = gather(Silent("ascend-910c"), VENDORS)
    assert facts.accelerators["ascend"] == Unknown("did not answer within 10 s")
    assert (facts.cpu, facts.pci) == (facts_of("ascend-910c").cpu, facts_of("ascend-910c").pci)
    assert [each.memory_bytes for each in devices(gather(Silent("mi300x8"), VENDORS))["amd"]] == [206141652992] * 8


@pytest.mark.parametrize("vendor", sorted(VENDORS))
def test_every_maker_says_how_a_program_is_limited_to_some_devices(vendor: str) -> None:
    variables = {"amd": "ROCR_VISIBLE_DEVICES", "apple": "", "ascend": "ASCEND_RT_VISIBLE_DEVICES", "hygon": "HIP_VISIBLE_DEVICES",
                 "intel": "ZE_AFFINITY_MASK", "metax": "CUDA_VISIBLE_DEVICES", "kunlun": "XPU_VISIBLE_DEVICES", "nvidia": "CUDA_VISIBLE_DEVICES"}  # fmt: skip
    assert VENDORS[vendor].visible_devices == variables[vendor]


def test_the_maker_of_a_network_card_is_not_asked() -> None:
    from provisioner.facts.presence import Presence
    from provisioner.phases.gather import is_seen

    network = PciDevice("0000:7d:00.0", "19e5", "a222", "020000", "Huawei", None, "hns3", 0, None, None, None, None)
    assert not is_seen(ascend.VENDOR, (network,), Presence("Linux", ()))


def test_the_machines_are_what_their_module_makes() -> None:
    assert set(MINE) < set(composed())
