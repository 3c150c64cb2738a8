"""`provision doctor` from the outside: a list or a document, and an exit code that scripts can go by."""

import json
from pathlib import Path

import jsonschema
import pytest

from tests.machines import upkeep
from tests.machines.compose import Json
from tests.program import Ran, run

SCHEMA = Path(__file__).parents[3] / "docs/reference/doctor.schema.json"


def doctor(machine: dict[str, Json], folder: Path, *words: str) -> Ran:
    path = folder / "machine.json"
    path.write_text(json.dumps(machine))
    return run("doctor", "--sysroot", str(path), *words)


def held(document: object) -> None:
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(document)


def test_a_machine_that_was_kept_well(tmp_path: Path) -> None:
    ran = doctor(upkeep.kept(), tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "nothing has drifted" in ran.out


def test_warnings_count_only_where_they_are_asked_for(tmp_path: Path) -> None:
    machine = upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": upkeep.status({}, held=())})
    loose = doctor(machine, tmp_path)
    assert loose.code == 0
    assert "[driver_upgrades]" in loose.out
    assert "fix: `apt-mark hold libnvidia-compute-580" in " ".join(loose.out.split())
    assert doctor(machine, tmp_path, "--strict").code == 3


def test_an_error_is_refused_and_the_document_keeps_its_schema(tmp_path: Path) -> None:
    machine = upkeep.with_files(upkeep.kept(), {"/proc/771/comm": None, "/var/lib/dpkg/status": None})
    ran = doctor(machine, tmp_path, "--json")
    told = json.loads(ran.out)
    held(told)
    assert (ran.code, told["exit_code"], told["ok"], told["release"]) == (3, 3, False, None)
    assert [finding["id"] for finding in told["findings"]] == ["fabric_manager"]
    assert [one["fact"] for one in told["not_looked_at"]] == ["packages"]


def test_this_machine_is_looked_at_and_nothing_is_written(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ran = run("doctor", "--json", "--state-dir", str(state))
    held(json.loads(ran.out))
    assert ran.code in (0, 3)
    assert not state.exists()


@pytest.mark.parametrize("content", [None, "[]"])
def test_a_recording_that_is_none_is_bad_input(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    if content:
        path.write_text(content)
    ran = run("doctor", "--sysroot", str(path))
    assert (ran.code, ran.out) == (2, "")
    assert "fix:" in ran.err
