"""A command of keys that is killed or failed at any call: the keys are those from before or those from after, and the next command works."""

import os
import shutil
from pathlib import Path

import pytest

from provisioner.phases import keys
from provisioner.services import gateway
from tests.bed.keys import state
from tests.sweep.strace import points, program, struck

pytestmark = [pytest.mark.sweep, pytest.mark.needs("strace")]


@pytest.mark.parametrize("blow", ["signal=SIGKILL", "error=ENOSPC"])
def test_keys_are_those_from_before_or_those_from_after(tmp_path: Path, blow: str) -> None:
    place = state(tmp_path / "state")
    keys.create(place, "alice", None, None, None)
    keys.create(place, "bob", None, None, None)
    folder, kept = gateway.keys_folder(place), str(tmp_path / "kept")
    shutil.copytree(folder, kept)

    def begin() -> None:
        shutil.rmtree(folder)
        shutil.copytree(kept, folder)

    command = program("key", "revoke", "alice", "--state-dir", place.state)
    trace = str(tmp_path / "trace")
    found, code = points(command, trace, (place.state,))
    assert code == 0
    ends = set()
    for point in found:
        done = struck(command, point, blow, trace, begin)
        assert done.hit, point
        left = tuple(key.name for key in keys.listed(place))
        assert left in (("alice", "bob"), ("bob",)), point
        if done.code == 0:
            assert left == ("bob",), point
        if blow.startswith("error"):
            assert "Traceback" not in done.words, point
        if "alice" in left:
            keys.revoke(place, "alice")
        assert os.listdir(folder) == ["keys.conf"], point
        ends.add(left)
    assert len(ends) == 2
