"""`up` and `upgrade`: each is the order of its phases, and reads as the story of what happens."""

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from provisioner.errors import Refused, UserError
from provisioner.model.actions import MakeKey
from provisioner.model.outcome import Outcome, Planned
from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.model.record import replace
from provisioner.model.release import Applied, Release
from provisioner.model.report import Observed, Report
from provisioner.model.spec import Spec
from provisioner.workflows import QUIET, errors, place_of, targets

if TYPE_CHECKING:
    from provisioner.model.upgrading import Terms, Upgraded
    from provisioner.phases.prepare import Ground
    from provisioner.phases.run import Run
    from provisioner.world.store import Store


def up(spec: Spec, state_dir: str, progress: Progress = QUIET, wait: float = 0.0) -> Outcome:
    """From a bare machine to an endpoint that is proved to answer; when it stands already, the proof alone."""
    from provisioner.phases.prepare import insist, look
    from provisioner.phases.run import mark_interrupted
    from provisioner.phases.survey import insist_on_sight
    from provisioner.world.database import locked, reading

    place = place_of(state_dir)
    if not os.path.isdir(place.state):
        # What is refused shall not even leave a folder.
        with reading(place.state) as store:
            insist(look(spec, store, place).plan)
    with locked(place.state, "up", wait) as store:
        recovered = mark_interrupted(store)
        ground = look(spec, store, place)
        insist(ground.plan)
        insist_on_sight(ground.standing, place)
        return replace(_stand(spec, ground, store, place, progress), recovered=recovered)


def _stand(spec: Spec, ground: "Ground", store: "Store", place: Place, progress: Progress) -> Outcome:
    """What is wanted stands and answers: seen at once, or brought about."""
    from provisioner.phases.prove import prove

    if not ground.actions:
        observed, findings = prove(ground.plan, ground.facts, place, progress)
        if not errors(findings):
            return _outcome(ground, None, observed, findings, None)
    return _work(spec, ground, store, place, progress)


def _work(spec: Spec, ground: "Ground", store: "Store", place: Place, progress: Progress) -> Outcome:
    """Bring the weights, put the release to work and prove it; heal it where it stands and does not answer."""
    from provisioner.phases.enforce import Change, enforce, heal
    from provisioner.phases.learn import learn
    from provisioner.phases.owed import pays
    from provisioner.phases.run import Run
    from provisioner.world.execute import Executor

    progress.planned(Planned(ground.facts, ground.plan, ground.actions))
    put = enforce if ground.actions else heal
    run = Run("up", None, store, Executor(place, store, progress), progress)
    ground, release = _aimed(run, spec, ground, store, place)
    new_keys = [action.path for action in ground.puts if isinstance(action, MakeKey)]
    change = Change(
        run, release, ground.plan, ground.facts, ground.standing, targets(), place, first=ground.first,
        data_back=lambda now: pays(now, store, targets(), place),
    )  # fmt: skip
    applied, observed, findings = put(change)
    learned = learn(ground.plan, store, place, ground.standing.running)
    outcome = _outcome(ground, applied, observed, (*findings, *learned), None)
    return replace(outcome, new_key=_read_key(new_keys[0])) if new_keys else outcome


def _aimed(run: "Run", spec: Spec, ground: "Ground", store: "Store", place: Place) -> "tuple[Ground, Release]":
    """All weights are here, and it is known which release the run is for."""
    from provisioner.phases.bring import bring_weights
    from provisioner.phases.enforce import clear

    try:
        ground, release = bring_weights(run, spec, ground, store, place)
        store.aim(run.number, release.digest)
    except BaseException as error:
        with suppress(UserError, OSError):  # What could not be cleaned up or noted must not hide why.
            clear(run, place)
            run.close("failed" if isinstance(error, Exception) else "interrupted")
        raise
    return ground, release


def upgrade(spec: Spec, state_dir: str, terms: "Terms", progress: Progress = QUIET, wait: float = 0.0) -> "Upgraded":
    """Another release instead of the one in force, kept when it answers and is no slower than is tolerated."""
    from provisioner.model.upgrading import Upgraded
    from provisioner.phases.prepare import insist, look
    from provisioner.phases.run import mark_interrupted
    from provisioner.phases.survey import insist_on_sight
    from provisioner.world.database import is_ours, locked

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing is in force here that could be upgraded", fix="provision up")
    with locked(place.state, "upgrade", wait) as store:
        recovered = mark_interrupted(store)
        ground = look(spec, store, place)
        insist(ground.plan)
        insist_on_sight(ground.standing, place)
        left = store.current()
        if left is None:
            raise Refused(f"{place.state}: nothing is in force here that could be upgraded", fix="provision up")
        if ground.release is not None and ground.release.digest == left:
            upgraded = Upgraded(_stand(spec, ground, store, place, progress), left)
        else:
            upgraded = _step_up(spec, ground, left, terms, store, place, progress)
        return replace(upgraded, outcome=replace(upgraded.outcome, recovered=recovered))


def _step_up(
    spec: Spec, ground: "Ground", left: str, terms: "Terms", store: "Store", place: Place, progress: Progress
) -> "Upgraded":
    from provisioner.model.upgrading import Upgraded
    from provisioner.phases.learn import learn
    from provisioner.phases.run import Run
    from provisioner.phases.upgrade import Step, in_force, step_up, tolerance_of
    from provisioner.planning.difference import differences
    from provisioner.world.execute import Executor

    old = in_force(place, left, ground.standing.current)
    progress.planned(Planned(ground.facts, ground.plan, ground.actions))
    run = Run("upgrade", None, store, Executor(place, store, progress), progress)
    ground, release = _aimed(run, spec, ground, store, place)
    changes = differences(old, ground.plan)
    for one in changes:
        progress.step(one.what)
        progress.done(str(one))
    step = Step(run, release, ground.plan, ground.facts, ground.standing, targets(), place, terms, left, ground.first)
    (applied, observed, findings), speeds = step_up(step)
    learned = learn(ground.plan, store, place, ground.standing.running)
    outcome = _outcome(ground, applied, observed, (*findings, *learned), None)
    return Upgraded(outcome, left, changes, speeds, tolerance_of(terms, ground.plan))


def _outcome(
    ground: "Ground", applied: Applied | None, observed: Observed, findings: tuple[Finding, ...], recovered: str | None
) -> Outcome:
    return Outcome(
        facts=ground.facts,
        plan=ground.plan,
        applied=applied,
        observed=observed,
        report=_report(ground.plan, findings),
        changed=applied is not None,
        recovered=recovered,
    )


def _report(plan: Plan, findings: tuple[Finding, ...]) -> Report:
    return Report((*plan.findings, *findings), 1 if errors(findings) else 0)


def _read_key(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read().strip()
