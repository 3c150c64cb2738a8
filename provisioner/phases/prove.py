"""See that a release answers: wait until its engines are ready, ask them, and hold the answers against the rules."""

import time
from collections.abc import Callable

from provisioner.model.containers import Container
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Finding, Plan, Service
from provisioner.model.plugins import Place, View
from provisioner.model.progress import Progress
from provisioner.model.release import Running
from provisioner.model.report import Observed
from provisioner.phases.judge import judge
from provisioner.phases.observe import answers_of, certificates_of, observe, state_of
from provisioner.phases.survey import running
from provisioner.world.probe import healthy
from provisioner.world.processes import is_frozen

FAILED = "failed"
"""How what was waited for in vain begins."""
POLL_SECONDS = 0.02
SLOW_POLL_SECONDS = 0.5
"""For what is asked of the container engine, or over TLS."""
FORGIVEN = 3
"""How often a container may be started while it is waited for."""
BESIDE_SECONDS = 60
"""For a container that has no test of its own; and for all of them to answer once they run."""


def prove(plan: Plan, facts: HostFacts, place: Place, progress: Progress) -> tuple[Observed, tuple[Finding, ...]]:
    """What the services answered, and what the checks say of it."""
    down: set[str] = set()
    for service in plan.services:
        progress.step(f"wait until {service.name} is ready (at most {service.ready_seconds} s)")
        came = _await_ready(service, place)
        progress.done(came)
        down |= {service.model_name} if came.startswith(FAILED) else set()
    if plan.beside:
        seconds = max(_patience(one) for one in plan.beside)
        progress.step(f"wait until {', '.join(one.name for one in plan.beside)} are ready (at most {seconds} s)")
        progress.done(_await_beside(plan, place, seconds, down))
    progress.step("ask the engine for an answer")
    observed = observe(plan, running(place.state), place.state)
    view = View(plan, facts, observed, {}, place.state, certificates=certificates_of(plan))
    findings = judge("after", view)
    errors = sum(finding.level == "error" for finding in findings)
    progress.done("done" if not errors else f"{FAILED}: {errors} of the checks")
    return observed, findings


def _await_ready(service: Service, place: Place) -> str:
    """Patient while the engine loads, at an end as soon as it has died."""
    began = time.monotonic()
    first: Running | None = None
    while time.monotonic() - began < service.ready_seconds:
        if healthy(service):
            return f"ready after {time.monotonic() - began:.1f} s"
        there = [one for one in running(place.state) if one.service == service.name]
        living = [one for one in there if one.pid]
        if first is not None and not any(_is_the_same(one, first) for one in living):
            return f"{FAILED}: it ended"
        if any(is_frozen(one.pid) for one in living):
            return f"{FAILED}: its process is stopped"
        first = first or (living[0] if living else None)
        if not living and time.monotonic() - began > 3.0:
            return f"{FAILED}: it did not start"
        time.sleep(POLL_SECONDS if not any(one.contained for one in there) else SLOW_POLL_SECONDS)
    return f"{FAILED}: not ready within {service.ready_seconds} s"


def _is_the_same(one: Running, first: Running) -> bool:
    """A container that ends is started again at once, and has died all the same."""
    return not one.contained or one.started == first.started


def _patience(one: Container) -> int:
    health = one.health
    return health.start_seconds + health.retries * health.interval_seconds if health else BESIDE_SECONDS


def _await_beside(plan: Plan, place: Place, seconds: int, down: set[str]) -> str:
    """Until every container is well by its own test, and everything is answered that is asked of them and of no model that is down."""
    asked = tuple(question for question in plan.questions if question.behind not in down)
    began = time.monotonic()
    lives: dict[str, set[int]] = {}
    if not _until(lambda: _all_well(plan, place, lives) or bool(_falling(lives)), seconds):
        return f"{FAILED}: not ready within {seconds} s"
    if _falling(lives):
        return f"{FAILED}: {', '.join(_falling(lives))} ends again and again"
    if not _until(lambda: all(one.right for one in answers_of(asked)), BESIDE_SECONDS):
        return f"{FAILED}: not everything is answered"
    return f"ready after {time.monotonic() - began:.1f} s"


def _falling(lives: dict[str, set[int]]) -> list[str]:
    """Those that were started so often that another start will not help."""
    return [name for name, starts in lives.items() if len(starts) > FORGIVEN]


def _all_well(plan: Plan, place: Place, lives: dict[str, set[int]]) -> bool:
    there = {one.service: one for one in running(place.state)}
    for one in there.values():
        lives.setdefault(one.service, set()).add(one.started)
    return all(state_of(one.name, there) == "running" for one in plan.beside)


def _until(happens: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happens():
        if time.monotonic() > deadline:
            return False
        time.sleep(SLOW_POLL_SECONDS)
    return True
