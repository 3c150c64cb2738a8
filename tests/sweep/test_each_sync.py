"""Each sync by itself: with it alone made to do nothing something can be lost, or it is named here with its reason."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.sweep import disk, durable
from tests.sweep.cuts import left_after, recorded
from tests.sweep.scenarios import SCENARIOS, Scenario
from tests.sweep.slot import Slot

pytestmark = [pytest.mark.sweep, pytest.mark.e2e, pytest.mark.needs("strace", "embedded"), pytest.mark.timeout(1800)]

STRUCK = ("first-up", "collect-garbage", "own-weights", "own-weights-instead", "down", "purge")
"""Scenarios that together come by every sync; `collect-garbage` is a change of release that also removes one."""
CHOSEN = tuple(scenario for scenario in SCENARIOS if scenario.name in STRUCK)

NOT_NEEDED = {
    "folder .: logs": "made in one step with `releases`, whose sync covers it; needed where only `logs` is missing",
}
"""Syncs that repeat what a later one of the same step does, and stay all the same."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One run of a scenario, and the disk that it began on."""

    scenario: Scenario
    slot: Slot
    operations: list[disk.Op]
    new: set[str | None]
    syncs: tuple[durable.Sync, ...] = ()

    def before(self) -> disk.Disk:
        model = disk.Disk(self.slot.folder)
        if os.path.isdir(self.slot.kept):
            model.load(self.slot.kept, "state")
        own = Path(self.slot.folder, "own.gguf")
        if own.exists():
            # The operator has just copied it here, and nobody has synced it yet.
            model.top.names[own.name] = model.top.durable[own.name] = disk.File(bytearray(own.read_bytes()))
        return model

    def losses(self, *without: durable.Sync) -> list[str]:
        return durable.losses(self.before, self.operations, {sync.number for sync in without}, self.slot.state)

    @property
    def ours(self) -> list[durable.Sync]:
        return [sync for sync in self.syncs if not sync.database]


def recording(scenario: Scenario, folder: str, blow: str = "") -> Recorded:
    slot = Slot(folder)
    os.makedirs(slot.folder)
    new = scenario.ground(slot)
    slot.restore(started=scenario.running)
    operations = recorded(slot, slot.words(*scenario.words(slot)), blow)
    slot.clear()
    run = Recorded(scenario, slot, operations, new)
    return replace(run, syncs=tuple(durable.syncs(run.before, operations, slot.state)))


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recording(CHOSEN[0], str(tmp_path_factory.mktemp("first") / "slot"))


@pytest.fixture(scope="module", params=CHOSEN, ids=lambda scenario: scenario.name)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return recording(request.param, str(tmp_path_factory.mktemp("sync") / "slot"))


def test_every_sync_was_judged(run: Recorded) -> None:
    assert len(run.syncs) == sum(operation.call in durable.SYNCS for operation in run.operations)


def test_what_the_journal_has_as_done_no_power_cut_takes_away(run: Recorded) -> None:
    assert run.losses() == []


def test_without_any_one_sync_something_can_be_lost(run: Recorded) -> None:
    unneeded = {sync.site for sync in run.ours if not run.losses(sync)}
    print(f"\n{run.scenario.name}: {len(run.ours)} of ours, {len(run.syncs) - len(run.ours)} of the database", end="")  # noqa: T201
    for site, times in Counter(sync.site for sync in run.ours).items():
        print(f"\n{times} {site}{'  (not needed)' if site in unneeded else ''}", end="")  # noqa: T201 - a figure to report
    assert unneeded <= set(NOT_NEEDED)


def test_without_the_syncs_of_the_database_it_would_be_lost(run: Recorded) -> None:
    """They belong together: which of them are needed is for SQLite to say, which is told `synchronous=FULL`."""
    database = [sync for sync in run.syncs if sync.database]
    lost = [loss for loss in run.losses(*database) if loss.startswith("state.db ")]
    assert database
    assert bool(lost) is ("--purge" not in run.scenario.verb)


@pytest.mark.parametrize("names", ["kept", "synced"])
def test_without_the_syncs_that_are_not_needed_the_next_run_mends_every_cut(first: Recorded, names: str) -> None:
    slot = first.slot
    unneeded = [sync for sync in first.ours if sync.site in NOT_NEEDED]
    assert {sync.site for sync in unneeded} == set(NOT_NEEDED)
    faults = []
    for sync in unneeded:
        marked = list(first.operations)
        marked[sync.number] = replace(marked[sync.number], injected=True)
        model = disk.Disk(slot.state)
        changing = [number for number, operation in enumerate(marked) if model.play(operation)]
        moments = [number + 1 for number in changing if sync.number < number < sync.following]
        assert moments
        for moment in moments:
            left_after(slot, slot.kept, marked[:moment], names)
            again = slot.run("up")
            faults += [f"{sync.site}, cut after {moment}: {fault}" for fault in slot.faults(allowed=first.new)]
            faults += [again.stderr] if again.returncode else []
    slot.clear()
    assert faults == []


@pytest.mark.parametrize("site", ["file secrets/llm.key", "folder models: *"])
def test_a_sync_that_really_does_nothing_loses_what_the_replay_says(first: Recorded, tmp_path: Path, site: str) -> None:
    """The proof that marking one operation of a recording is honest: the program itself, run with that one call disarmed."""
    sync = next(sync for sync in first.ours if sync.site == site)
    count = first.ours.index(sync) + 1
    real = recording(CHOSEN[0], str(tmp_path / "real"), f"fsync:retval=0:when={count}")
    assert [operation.injected for operation in real.operations].count(True) == 1
    assert real.losses() == first.losses(sync) != []
