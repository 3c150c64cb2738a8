"""The power fails at any moment: what was synced is enough to go on from, and what was reported as done stays done."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from tests.sweep.cuts import cuts, left_after, recorded
from tests.sweep.slot import Slot
from tests.thorough import share

pytestmark = [pytest.mark.sweep, pytest.mark.e2e, pytest.mark.needs("strace", "embedded"), pytest.mark.timeout(1800)]
PARTS = 5
"""Of so many moments one is cut at, unless the run is thorough."""
NO_SYNC = "fsync,fdatasync:retval=0"


@pytest.fixture
def slot(tmp_path: Path) -> Slot:
    slot = Slot(str(tmp_path / "slot"))
    os.makedirs(slot.folder)
    return slot


@pytest.mark.parametrize("names", ["kept", "synced"])
@pytest.mark.parametrize("case", ["first", "upgrade"])
def test_cut_at_any_moment_the_next_run_ends_in_the_new_state(slot: Slot, case: str, names: str) -> None:
    if case == "upgrade":
        assert slot.run("up", "--concurrency", "1").returncode == 0
        slot.keep()
        slot.restore(started=True)
    operations = recorded(slot, slot.words("up"))
    new = slot.current()
    moments = cuts(slot, slot.kept, operations)
    faults = []
    chosen = share(moments, PARTS)
    for moment in chosen:
        left_after(slot, slot.kept, operations[:moment], names)
        again = slot.run("up")
        where = f"cut after {operations[moment - 1].call} ({moment} of {len(operations)})"
        if again.returncode:
            faults.append(f"{where}: the next run ended with {again.returncode}: {again.stderr.strip()[-400:]}")
        faults += [f"{where}: {fault}" for fault in slot.faults(allowed={new})]
    slot.clear()
    print(f"\n{case}, names {names}: {len(chosen)} of {len(moments)} power cuts")  # noqa: T201 - the figure belongs into the report
    assert not faults, "\n".join(faults)
    assert len(moments) > 20


def lost(slot: Slot, blow: str, names: str) -> list[str]:
    """What is lost of a run that had reported success when the power failed the moment after."""
    operations = recorded(slot, slot.words("up"), blow)
    new = slot.current()
    left_after(slot, slot.kept, operations, names)
    gone = []
    try:
        if slot.current() != new:
            gone.append("the release is not in force any more")
        if new and not os.path.exists(f"{slot.state}/releases/{new}/units/llm.json"):
            gone.append("the release has lost its files")
        todo = slot.steady()
        if "openssl" in todo or "render" in todo:
            gone.append(f"to be done again: {todo}")
        # A disk that was put together anew has new inodes, so the program cannot know the weights without hashing them.
        gone += [f"the weights {name} are not whole" for name, found in blobs(slot) if found != name]
    except Exception as error:  # noqa: BLE001 - whatever a broken disk leads to is what is looked for
        gone.append(f"{type(error).__name__}: {error}")
    slot.clear()
    shutil.rmtree(slot.state, ignore_errors=True)
    return gone


def blobs(slot: Slot) -> list[tuple[str, str]]:
    """Each blob's name and the hash that it has; a store without blobs has lost them."""
    folder = f"{slot.state}/blobs/sha256"
    names = os.listdir(folder)
    assert names, "the store has no weights"
    return [(name, hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()) for name in names]


@pytest.mark.parametrize("names", ["kept", "synced"])
def test_what_was_reported_as_done_survives_a_power_cut(slot: Slot, names: str) -> None:
    assert lost(slot, "", names) == []


@pytest.mark.parametrize("names", ["kept", "synced"])
def test_without_the_fsyncs_this_test_would_notice(slot: Slot, names: str) -> None:
    """The proof that the two tests above can fail: the same program, its fsyncs made to do nothing."""
    assert lost(slot, NO_SYNC, names) != []
