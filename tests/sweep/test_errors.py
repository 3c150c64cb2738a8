"""Every system call that changes something fails once: a clear message, the right exit code, no partial state."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.sweep.scenarios import SCENARIOS, Scenario
from tests.sweep.slot import Slot
from tests.sweep.strace import Point, Struck, points, struck
from tests.thorough import THOROUGH, share

pytestmark = [pytest.mark.sweep, pytest.mark.e2e, pytest.mark.needs("strace", "embedded"), pytest.mark.timeout(1800)]
WORKERS = os.cpu_count() or 2
ERRORS = ("EIO", "ENOSPC", "EINTR")
PARTS = 8
"""Of so many calls one is made to fail, unless the run is thorough."""
ENDS_AT_ONCE = ("up", "rollback")
"""These verbs leave the old state or the new one even when they fail; `down` says where it stopped and is run again."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What a blow falls on, and what may be found after it."""

    slot: Slot
    new: set[str | None]
    old: str | None
    faults: tuple[str, ...]
    """What was wrong before: a run that fails at its first step has not mended it."""


def as_it_begins(slot: Slot, new: set[str | None]) -> tuple[str | None, tuple[str, ...]]:
    old = slot.current() if os.path.exists(f"{slot.state}/state.db") else None
    return old, tuple(slot.faults(allowed={old, *new}, closed=False))


@pytest.fixture(params=SCENARIOS, ids=lambda scenario: scenario.name)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    return request.param  # type: ignore[no-any-return]


def test_failing_at_any_change_it_says_what_and_why_and_leaves_nothing_half_done(
    scenario: Scenario, tmp_path: Path
) -> None:
    slots: SimpleQueue[Ground] = SimpleQueue()
    for number in range(WORKERS):
        slot = Slot(str(tmp_path / f"slot{number}"))
        os.makedirs(slot.folder)
        new = scenario.ground(slot)
        slot.restore(started=scenario.running)
        slots.put(Ground(slot, new, *as_it_begins(slot, new)))
    ground = slots.get()
    slot = ground.slot
    slot.restore(started=scenario.running)
    found, code = points(slot.words(*scenario.words(slot)), str(tmp_path / "trace"), (slot.state,))
    assert code == 0
    slots.put(ground)
    files = [point for point in found if not point.call.startswith(("clone", "vfork", "pidfd"))]
    blows = [
        (point, error)
        for number, point in share(list(enumerate(files)), PARTS * scenario.rarer)
        for error in errors_for(number)
    ]

    def strike(wanted: tuple[Point, str]) -> list[str]:
        point, error = wanted
        ground = slots.get()
        slot = ground.slot
        try:
            words, trace = slot.words(*scenario.words(slot)), f"{slot.folder}/trace"
            blow = struck(words, point, f"error={error}", trace, lambda: slot.restore(started=scenario.running))
            where = f"{error} at {point}"
            faults = [f"{where}: {fault}" for fault in spoken(blow)]
            if scenario.verb[0] in ENDS_AT_ONCE:
                left = slot.faults(allowed={ground.old, *ground.new}, closed=False)
                faults += [f"{where}: at once: {fault}" for fault in left if fault not in ground.faults]
            again = slot.run(*scenario.words(slot))
            if again.returncode:
                faults.append(f"{where}: the next run ended with {again.returncode}: {again.stderr.strip()[-400:]}")
            return faults + [f"{where}: {fault}" for fault in slot.faults(allowed=ground.new)]
        finally:
            slots.put(ground)

    with ThreadPoolExecutor(WORKERS) as pool:
        faults = [fault for some in pool.map(strike, blows) for fault in some]
    while not slots.empty():
        slots.get().slot.clear()
    print(f"\n{scenario.name}: {len(blows)} calls made to fail")  # noqa: T201 - the figure belongs into the report
    assert not faults, "\n".join(faults)


def errors_for(number: int) -> tuple[str, ...]:
    """Each call fails with each error in a thorough run; otherwise with one of them in turn."""
    return ERRORS if THOROUGH else (ERRORS[number % len(ERRORS)],)


def spoken(blow: Struck) -> list[str]:
    """What is wrong with the way a failure was told; a run that got over it says nothing."""
    code, words = blow.code, blow.words
    if not blow.hit:
        return [f"never reached: it ended with {code}: {words.strip()[-300:]}"]
    if code == 0:
        return []
    found = [] if code in (1, 3, 4) else [f"exit code {code}"]
    if "fix:" not in words:
        found.append(f"no fix: {words.strip()[-300:]}")
    if "Traceback" in words or "mistake of provision" in words:
        found.append(f"not a message for a user: {words.strip()[-600:]}")
    return found
