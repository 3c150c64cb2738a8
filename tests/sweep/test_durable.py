"""The judge of single syncs itself: what it says of small programs whose syncs are known."""

import os
import sys
from pathlib import Path

import pytest

from tests.sweep import disk, durable

pytestmark = [pytest.mark.needs("strace")]

HEAD = """
import os, sys
state = sys.argv[1]
def sync(path):
    descriptor = os.open(path, os.O_RDONLY); os.fsync(descriptor); os.close(descriptor)
def write(name, text, sync_file=True):
    descriptor = os.open(f"{state}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, text)
    if sync_file: (os.fdatasync if name.startswith("state.db") else os.fsync)(descriptor)
    os.close(descriptor)
def commit():
    write("state.db-wal", b"done")
"""


def judged(tmp_path: Path, program: str) -> tuple[list[str], dict[str, list[str]]]:
    """What can be lost of a run as it is, and what without each of its own syncs."""
    state = str(tmp_path / "disk" / "state")
    os.makedirs(state)
    trace = str(tmp_path / "trace")

    def before() -> disk.Disk:
        model = disk.Disk(str(tmp_path / "disk"))
        model.top.names["state"] = model.top.durable["state"] = disk.Folder()
        return model

    assert disk.record([sys.executable, "-c", HEAD + program, state], trace).returncode == 0
    operations = list(disk.operations(trace))
    found = durable.syncs(before, operations, state)
    each = {
        f"{number} {sync.site}": durable.losses(before, operations, {sync.number}, state)
        for number, sync in enumerate(sync for sync in found if not sync.database)
    }
    return durable.losses(before, operations, set(), state), each


def test_each_sync_that_is_needed_is_found_by_what_is_lost_without_it(tmp_path: Path) -> None:
    lost, each = judged(tmp_path, "write('key', b'secret'); sync(state); commit()")
    assert lost == []
    assert each == {
        "0 file key": ["key may be empty when the journal says so", "key may be empty at the end"],
        "1 folder .: key": ["key may be gone when the journal says so", "key may be gone at the end"],
    }


def test_a_sync_that_another_repeats_before_the_journal_knows_is_not_needed(tmp_path: Path) -> None:
    _, each = judged(tmp_path, "write('a', b'1'); sync(state); write('b', b'2'); sync(state); commit()")
    assert each["1 folder .: a"] == []
    assert each["3 folder .: b"] != []


def test_a_sync_that_is_repeated_only_after_the_journal_knows_is_needed(tmp_path: Path) -> None:
    _, each = judged(tmp_path, "write('a', b'1'); sync(state); commit(); write('b', b'2'); sync(state); commit()")
    assert each["1 folder .: a"] == ["a may be gone when the journal says so"]


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("write('key', b'secret', sync_file=False); sync(state)", "key may be empty at the end"),
        ("write('key', b'secret')", "key may be gone at the end"),
        ("write('key', b'old'); sync(state); write('key', b'new', sync_file=False)", "key may be as it was at the end"),
        ("write('key', b'old'); sync(state); os.unlink(f'{state}/key')", "key may be back at the end"),
    ],
)
def test_a_run_without_a_sync_that_it_needs_is_found_out(tmp_path: Path, program: str, expected: str) -> None:
    lost, _ = judged(tmp_path, program)
    assert lost == [expected]


def test_what_is_half_made_is_not_promised(tmp_path: Path) -> None:
    lost, _ = judged(tmp_path, "write('key.tmp', b'half', sync_file=False); commit()")
    assert lost == []
