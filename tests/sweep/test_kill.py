"""Killed at every system call that changes something: the next run ends in the old state or the new one, never a third."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.sweep.scenarios import SCENARIOS, Scenario
from tests.sweep.slot import Slot
from tests.sweep.strace import Point, points, struck
from tests.thorough import share

pytestmark = [pytest.mark.sweep, pytest.mark.e2e, pytest.mark.needs("strace", "embedded"), pytest.mark.timeout(1800)]
WORKERS = os.cpu_count() or 2
PARTS = 5
"""Of so many points one is struck, unless the run is thorough."""
FOUND: dict[str, int] = {}
"""How many points each scenario had; the last test adds them up."""


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return request.param  # type: ignore[no-any-return]


def test_killed_at_every_change_the_next_run_ends_in_the_old_state_or_the_new_one(
    scenario: Scenario, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    slots: SimpleQueue[tuple[Slot, set[str | None]]] = SimpleQueue()
    for number in range(WORKERS):
        slot = Slot(str(tmp_path / f"slot{number}"))
        os.makedirs(slot.folder)
        slots.put((slot, scenario.ground(slot)))
    slot, allowed = slots.get()
    slot.restore(started=scenario.running)
    found, code = points(slot.words(*scenario.words(slot)), str(tmp_path / "trace"), (slot.state,))
    assert code == 0
    FOUND[scenario.name] = len(found)
    assert slot.faults(allowed=allowed) == []
    slots.put((slot, allowed))

    wanted = share(found, PARTS * scenario.rarer)

    def strike(point: Point) -> list[str]:
        slot, allowed = slots.get()
        try:
            words, trace = slot.words(*scenario.words(slot)), f"{slot.folder}/trace"
            blow = struck(words, point, "signal=SIGKILL", trace, lambda: slot.restore(started=scenario.running))
            if not blow.hit:
                return [f"{point}: never reached: it ended with {blow.code}: {blow.words.strip()[-300:]}"]
            again = slot.run(*scenario.words(slot))
            if again.returncode:
                return [f"{point}: the next run ended with {again.returncode}: {again.stderr.strip()[-600:]}"]
            return [f"{point}: {fault}" for fault in slot.faults(allowed=allowed)]
        finally:
            slots.put((slot, allowed))

    with ThreadPoolExecutor(WORKERS) as pool:
        faults = [fault for some in pool.map(strike, wanted) for fault in some]
    while not slots.empty():
        slots.get()[0].clear()
    record_property("kill points", len(found))
    print(f"\n{scenario.name}: struck at {len(wanted)} of {len(found)} kill points")  # noqa: T201 - the figure belongs into the report
    assert not faults, "\n".join(faults)
    assert len(found) > 20


def test_more_than_a_thousand_points_in_all() -> None:
    if len(FOUND) < len(SCENARIOS):
        pytest.skip("only some of the scenarios ran")
    assert sum(FOUND.values()) >= 1000, FOUND
