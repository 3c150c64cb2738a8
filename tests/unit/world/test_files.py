import errno
import os
import stat
from pathlib import Path

import pytest

from provisioner.errors import Refused, RunFailed
from provisioner.world import files


def test_a_whole_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = str(tmp_path / "key")
    files.write_whole(path, "old")
    files.write_whole(path, "new", 0o600)
    assert (tmp_path / "key").read_text() == "new"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(tmp_path) == ["key"]


def test_a_tree_appears_at_once_and_what_was_half_written_goes(tmp_path: Path) -> None:
    folder = str(tmp_path / "releases" / "abc")
    os.makedirs(f"{folder}.tmp/units")
    open(f"{folder}.tmp/units/stale", "w").close()
    files.write_tree(folder, {"units/chat.json": ("{}", 0o644), "start.sh": ("#!/bin/sh", 0o755)})
    assert sorted(os.listdir(folder)) == ["start.sh", "units"]
    assert os.listdir(f"{folder}/units") == ["chat.json"]
    assert os.access(f"{folder}/start.sh", os.X_OK)
    assert os.listdir(tmp_path / "releases") == ["abc"]


def test_a_tree_is_removed_whole_even_when_an_earlier_removal_was_cut_off(tmp_path: Path) -> None:
    folder = str(tmp_path / "abc")
    os.makedirs(f"{folder}.tmp/left")
    os.makedirs(f"{folder}/units")
    files.remove_tree(folder)
    files.remove_tree(folder)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "kind", "remedy"),
    [
        (errno.ENOSPC, RunFailed, "df -h"),
        (errno.EACCES, Refused, "--state-dir"),
        (errno.EROFS, Refused, "read-only"),
        (errno.EIO, RunFailed, "dmesg"),
    ],
)
def test_what_the_system_refuses_has_a_remedy(number: int, kind: type[Exception], remedy: str) -> None:
    error = files.explain(OSError(number, os.strerror(number), "/srv/x"), "writing")
    assert type(error) is kind
    assert error.message.startswith("/srv/x: ")
    assert remedy in error.fix
