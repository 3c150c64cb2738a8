"""The model of the disk itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep import disk

pytestmark = [pytest.mark.needs("strace")]

PROGRAM = """
import os, sys
folder = sys.argv[1]
def write(name, sync_file, sync_folder):
    descriptor = os.open(f"{folder}/{name}.tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, b"hello ")
    os.write(descriptor, b"world")
    if sync_file: os.fsync(descriptor)
    os.close(descriptor)
    os.rename(f"{folder}/{name}.tmp", f"{folder}/{name}")
    if sync_folder:
        descriptor = os.open(folder, os.O_RDONLY); os.fsync(descriptor); os.close(descriptor)
write("both", True, True)
write("file-only", True, False)
write("neither", False, False)
"""


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("kept", {"both": b"hello world", "file-only": b"hello world", "neither": b""}),
        ("synced", {"both": b"hello world"}),
    ],
)
def test_only_what_was_synced_is_left(tmp_path: Path, names: str, expected: dict[str, bytes]) -> None:
    folder, left = str(tmp_path / "disk"), tmp_path / "left"
    os.makedirs(folder)
    done = disk.record([sys.executable, "-c", PROGRAM, folder], str(tmp_path / "trace"))
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0
    model = disk.Disk(folder)
    for operation in disk.operations(str(tmp_path / "trace")):
        model.play(operation)
    model.after_power_cut(str(left), names)
    assert {entry.name: entry.read_bytes() for entry in left.iterdir()} == expected


def test_syncs_that_were_made_to_do_nothing_do_nothing(tmp_path: Path) -> None:
    folder, left = str(tmp_path / "disk"), tmp_path / "left"
    os.makedirs(folder)
    disk.record([sys.executable, "-c", PROGRAM, folder], str(tmp_path / "trace"), "fsync,fdatasync:retval=0")
    model = disk.Disk(folder)
    for operation in disk.operations(str(tmp_path / "trace")):
        model.play(operation)
    model.after_power_cut(str(left), "kept")
    assert {entry.name: entry.read_bytes() for entry in left.iterdir()} == {
        "both": b"",
        "file-only": b"",
        "neither": b"",
    }
