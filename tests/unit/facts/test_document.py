"""The document of `detect --json`: held against its schema, read back to the same facts, refused when it is something else."""

import json
from pathlib import Path

import jsonschema
import pytest

from provisioner.accelerators.nvidia import VENDOR
from provisioner.errors import BadInput
from provisioner.facts.document import facts_document, facts_from_document
from provisioner.model.facts import HostFacts
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine, ThisMachine

TESTS = Path(__file__).parent.parent.parent
SCHEMA = json.loads((TESTS.parent / "docs/reference/facts.schema.json").read_text(encoding="utf-8"))
MACHINES = sorted((TESTS / "machines").glob("*.json"))


def facts_of(name: str) -> HostFacts:
    return gather(RecordedMachine(str(TESTS / "machines" / f"{name}.json")), {"nvidia": VENDOR})


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("place", MACHINES, ids=lambda place: place.stem)
def test_every_machine_fits_the_schema_and_reads_back(place: Path) -> None:
    facts = gather(RecordedMachine(str(place)), {"nvidia": VENDOR})
    document = json.loads(json.dumps(facts_document(facts)))
    jsonschema.validate(document, SCHEMA)
    assert facts_from_document(document) == facts


def test_this_machine_fits_the_schema_and_reads_back() -> None:
    facts = gather(ThisMachine(), {"nvidia": VENDOR})
    document = json.loads(json.dumps(facts_document(facts)))
    jsonschema.validate(document, SCHEMA)
    assert facts_from_document(document) == facts


def test_unknown_and_none_are_told_apart() -> None:
    broken = facts_document(facts_of("broken-driver"))
    without = facts_document(facts_of("small-vm"))
    assert broken["accelerators"] == without["accelerators"] == []
    named = [each for each in list_of(broken["unknown"]) if each["fact"] == "accelerators.nvidia"]
    assert [each["reason"][:33] for each in named] == ["NVML: Driver/library version mism"]
    assert not [each for each in list_of(without["unknown"]) if each["fact"] == "accelerators.nvidia"]


def test_links_are_told_for_the_whole_machine() -> None:
    topology = facts_document(facts_of("h200x8"))["topology"]
    assert isinstance(topology, dict)
    links = list_of(topology["links"])
    assert len(links) == 56
    assert {(link["kind"], link["hops"]) for link in links} == {("nvlink", "NV18")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "provision.facts/2"}, "schema is 'provision.facts/2', expected 'provision.facts/1'"),
        ({"cpu": {"model": "x"}}, "hardware.cpu"),
        ({"cpu": 5}, "hardware.cpu: expected"),
        ({"colour": "red"}, "unknown field 'colour'"),
        (
            {"unknown": [{"fact": "host.soul", "reason": "none"}]},
            "'host.soul' is not a fact of this document that is null",
        ),
        ({"unknown": "nothing"}, "unknown: expected a list"),
        ({"vendors": []}, "an entry whose vendor is not in `vendors`"),
        ({"accelerators": {}}, "expected lists"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, object], message: str) -> None:
    document = {**facts_document(facts_of("h100x1")), **change}
    with pytest.raises(BadInput) as refusal:
        facts_from_document(document)
    assert message in refusal.value.message
    assert refusal.value.fix


@pytest.mark.parametrize("key", sorted(SCHEMA["required"]))
def test_every_part_is_needed(key: str) -> None:
    document = {name: value for name, value in facts_document(facts_of("h100x1")).items() if name != key}
    if key in ("topology", "assumed"):  # Made from other parts, or empty unless said.
        assert facts_from_document(document) == facts_of("h100x1")
        return
    with pytest.raises(BadInput):
        facts_from_document(document)


@pytest.mark.parametrize("document", [None, 5, "x", [], {}])
def test_what_is_no_document_is_refused(document: object) -> None:
    with pytest.raises(BadInput):
        facts_from_document(document)


def list_of(value: object) -> list[dict[str, str]]:
    assert isinstance(value, list)
    return value
