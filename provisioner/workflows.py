"""The verbs: each is the order of its phases, and reads as the story of what happens."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from provisioner import catalog
from provisioner.errors import BadInput, Refused, UserError
from provisioner.model.outcome import (
    Benched,
    BesideStatus,
    Checked,
    Compared,
    Outcome,
    Planned,
    Removed,
    RolledBackTo,
    ServiceStatus,
    Status,
)
from provisioner.model.plan import Finding, Observed, Plan, Report
from provisioner.model.plugins import Place, Target, View
from provisioner.model.progress import Progress, Silent
from provisioner.model.record import replace
from provisioner.model.release import Applied, HistoryEntry, MakeKey, Release
from provisioner.model.spec import Spec

if TYPE_CHECKING:
    from provisioner.model.baseline import Baseline
    from provisioner.model.host import HostWish, Prepared
    from provisioner.model.learned import Reading
    from provisioner.model.upgrading import Terms, Upgraded
    from provisioner.model.upkeep import Examined
    from provisioner.phases.prepare import Ground
    from provisioner.phases.run import Run
    from provisioner.world.store import Store

QUIET = Silent()


def place_of(state_dir: str) -> Place:
    """Where things go for whoever runs us."""
    root = os.geteuid() == 0
    home = os.path.abspath(os.path.expanduser("~"))
    return Place(
        state=_usable(state_dir),
        python=sys.executable,
        unit_folder="/etc/systemd/system" if root else os.path.join(home, ".config/systemd/user"),
        user_manager=not root,
        owner=f"{os.geteuid()}:{os.getegid()}",
    )


def _usable(path: str) -> str:
    """The real path of a state folder; one that nobody could have or that we may not look into is refused by all verbs."""
    if any(letter < " " or "\x7f" <= letter <= "\x9f" or "\ud800" <= letter <= "\udfff" for letter in path):
        raise BadInput(f"--state-dir {path!r}: control characters and broken letters", fix="a plain path")
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        real = _to_be_made(real)
    elif not os.path.isdir(real):
        raise BadInput(f"{real}: this is a file, and the state is a folder", fix="another path with --state-dir")
    elif not os.access(real, os.R_OK | os.X_OK):
        raise Refused(f"{real}: this user may not look into it", fix="run as its owner (sudo), or use --state-dir")
    return real


def _to_be_made(path: str) -> str:
    """A path that is not there: because nothing was made yet, and not because it can never be."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return path
    except PermissionError:
        raise Refused(
            f"{path}: this user may not look into it", fix="run as its owner (sudo), or use --state-dir"
        ) from None
    except OSError as error:
        raise BadInput(f"{path[:200]}: {error.strerror}", fix="another path with --state-dir") from None
    return path


def plan(spec: Spec, hardware: str | None, state_dir: str, changed: str | None = None) -> Planned:
    """What would be done and why; nothing is changed. `changed` says what would be different of the hardware."""
    from provisioner.phases.elsewhere import elsewhere
    from provisioner.phases.prepare import look
    from provisioner.world.store import reading

    place = place_of(state_dir)
    if hardware is not None or changed is not None:
        ground = elsewhere(spec, hardware, place, changed)
    else:
        with reading(place.state) as store:
            ground = look(spec, store, place)
    return Planned(ground.facts, ground.plan, ground.actions)


def compare(spec: Spec, hardware: str | None, others: tuple[str, ...], state_dir: str) -> tuple[Compared, ...]:
    """The plans of several profiles for one machine, or of one profile for several machines."""
    from provisioner.phases.elsewhere import side_by_side

    return side_by_side(spec, hardware, others, place_of(state_dir))


def render(spec: Spec, hardware: str | None, folder: str, state_dir: str) -> Planned:
    """The release folder of a plan, applied by nobody."""
    from provisioner.phases.prepare import beside_engines, insist
    from provisioner.world import files

    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise BadInput(f"{folder}: there is something already", fix="name a folder that does not exist yet")
    planned = plan(spec, hardware, state_dir)
    if planned.plan.verdict != "fits":
        # What stands in the way of starting it here, a port that is taken, is no reason against writing it down.
        insist(planned.plan)
    place = place_of(state_dir)
    target = targets()[planned.plan.target or ""]
    whole = beside_engines(planned.plan, spec, place, planned.facts)
    release = _rendered_at(whole, target, place, os.path.abspath(folder))
    try:
        if os.path.isdir(folder):
            os.rmdir(folder)
        files.make_folder(os.path.dirname(os.path.abspath(folder)))
        files.write_new_tree(os.path.abspath(folder), {file.path: (file.content, file.mode) for file in release.files})
    except OSError as error:
        raise files.explain(error, f"writing {folder}") from error
    return planned


def _rendered_at(plan: Plan, target: Target, place: Place, folder: str) -> Release:
    from provisioner.rendering import render as rendered

    release = rendered(plan, target, place)
    inside = place.release(release.digest)
    return replace(
        release, files=tuple(replace(file, content=file.content.replace(inside, folder)) for file in release.files)
    )


def targets() -> Mapping[str, Target]:
    """Every runtime that this release of the program knows."""
    return cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))


def up(spec: Spec, state_dir: str, progress: Progress = QUIET, wait: float = 0.0) -> Outcome:
    """From a bare machine to an endpoint that is proved to answer; when it stands already, the proof alone."""
    from provisioner.phases.prepare import insist, look
    from provisioner.phases.run import mark_interrupted
    from provisioner.world.store import locked, reading

    place = place_of(state_dir)
    if not os.path.isdir(place.state):
        # What is refused shall not even leave a folder.
        with reading(place.state) as store:
            insist(look(spec, store, place).plan)
    with locked(place.state, "up", wait) as store:
        recovered = mark_interrupted(store)
        ground = look(spec, store, place)
        insist(ground.plan)
        return replace(_stand(spec, ground, store, place, progress), recovered=recovered)


def _stand(spec: Spec, ground: "Ground", store: "Store", place: Place, progress: Progress) -> Outcome:
    """What is wanted stands and answers: seen at once, or brought about."""
    from provisioner.phases.prove import prove

    if not ground.actions:
        observed, findings = prove(ground.plan, ground.facts, place, progress)
        if not _errors(findings):
            return _outcome(ground, None, observed, findings, None)
    return _work(spec, ground, store, place, progress)


def _work(spec: Spec, ground: "Ground", store: "Store", place: Place, progress: Progress) -> Outcome:
    """Bring the weights, put the release to work and prove it; heal it where it stands and does not answer."""
    from provisioner.phases.enforce import Change, enforce, heal
    from provisioner.phases.learn import learn
    from provisioner.phases.run import Run
    from provisioner.world.execute import Executor

    progress.planned(Planned(ground.facts, ground.plan, ground.actions))
    put = enforce if ground.actions else heal
    run = Run("up", None, store, Executor(place, store, progress), progress)
    ground, release = _aimed(run, spec, ground, store, place)
    new_keys = [action.path for action in ground.puts if isinstance(action, MakeKey)]
    change = Change(run, release, ground.plan, ground.facts, ground.standing, targets(), place)
    applied, observed, findings = put(change)
    outcome = _outcome(ground, applied, observed, (*findings, *learn(ground.plan, store, place)), None)
    return replace(outcome, new_key=_read_key(new_keys[0])) if new_keys else outcome


def _aimed(run: "Run", spec: Spec, ground: "Ground", store: "Store", place: Place) -> "tuple[Ground, Release]":
    """All weights are here, and it is known which release the run is for."""
    from provisioner.phases.enforce import clear
    from provisioner.phases.prepare import bring_weights

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
    from provisioner.world.store import is_ours, locked

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing is in force here that could be upgraded", fix="provision up")
    with locked(place.state, "upgrade", wait) as store:
        recovered = mark_interrupted(store)
        ground = look(spec, store, place)
        insist(ground.plan)
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
    from provisioner.phases.survey import load_plan
    from provisioner.phases.upgrade import Step, step_up, tolerance_of
    from provisioner.planning.difference import differences
    from provisioner.world.execute import Executor

    old = load_plan(place, left)
    progress.planned(Planned(ground.facts, ground.plan, ground.actions))
    run = Run("upgrade", None, store, Executor(place, store, progress), progress)
    ground, release = _aimed(run, spec, ground, store, place)
    changes = differences(old, ground.plan)
    for one in changes:
        progress.step(one.what)
        progress.done(str(one))
    step = Step(run, release, ground.plan, ground.facts, ground.standing, targets(), place, terms, left)
    (applied, observed, findings), before, after = step_up(step)
    outcome = _outcome(ground, applied, observed, (*findings, *learn(ground.plan, store, place)), None)
    return Upgraded(outcome, left, changes, before, after, tolerance_of(terms, ground.plan))


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


def _errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.level == "error")


def _report(plan: Plan, findings: tuple[Finding, ...]) -> Report:
    return Report((*plan.findings, *findings), 1 if _errors(findings) else 0)


def _read_key(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read().strip()


def down(state_dir: str, purge: bool = False, progress: Progress = QUIET, wait: float = 0.0) -> Removed:
    """Remove what was made and nothing else; weights and history stay unless they are purged."""
    from provisioner.phases.run import Run, mark_interrupted
    from provisioner.phases.survey import survey
    from provisioner.planning.diff import BROUGHT, MADE, made_of, takes_down
    from provisioner.world import store as stores
    from provisioner.world.execute import Executor

    place = place_of(state_dir)
    if not stores.is_ours(place.state):
        return Removed(None)
    with stores.locked(place.state, "down", wait) as store:
        mark_interrupted(store)
        standing = survey(store, place)
        folders = (*MADE, *BROUGHT) if purge else made_of(standing, place)
        actions = takes_down(standing, targets(), place, folders, active=store.current() is not None)
        applied = None
        if actions:
            run = Run("down", None, store, Executor(place, store, progress), progress)
            try:
                run.do(actions)
            except KeyboardInterrupt:
                raise
            except Exception:
                run.close("failed")
                raise
            applied = run.close("good")
        if purge:
            stores.purge(store)
    kept = () if purge else _kept(place)
    return Removed(applied, kept)


def _kept(place: Place) -> tuple[str, ...]:
    from provisioner.planning.amounts import size as amount

    blobs = f"{place.state}/blobs/sha256"
    size = sum(entry.stat().st_size for entry in os.scandir(blobs)) if os.path.isdir(blobs) else 0
    weights = (f"{amount(size)} of weights in {blobs} (`provision down --purge` removes them)",) if size else ()
    return (*weights, f"the history in {place.state}/state.db")


def rollback(
    state_dir: str, to: str | None, progress: Progress = QUIET, wait: float = 0.0, *, with_data: bool = False
) -> RolledBackTo:
    """Execute an older release again, prove it, and keep it; with the data of its time where that is asked for."""
    from provisioner.phases import snapshots
    from provisioner.phases.enforce import Change, enforce
    from provisioner.phases.learn import learn
    from provisioner.phases.prepare import facts_here
    from provisioner.phases.run import Run, mark_interrupted
    from provisioner.phases.survey import load, load_plan, survey
    from provisioner.world.execute import Executor
    from provisioner.world.store import is_ours, locked

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing was ever set up here", fix="provision up")
    with locked(place.state, "rollback", wait) as store:
        mark_interrupted(store)
        standing = survey(store, place)
        previous = standing.current.digest if standing.current else None
        digest = _earlier(store.good_releases(), standing.folders, previous, to)
        release = load(place, digest)
        gone = [file.name for file in release.weights if file.sha256 not in standing.blobs]
        if gone:
            raise Refused(
                f"{place.state}: the weights of release {digest[:12]} are gone or were changed: {', '.join(gone)}",
                fix="bring them again with `provision up`, or choose another release: `provision history`",
            )
        if with_data and not snapshots.kept(place, digest):
            raise Refused(
                f"{place.state}: of release {digest[:12]} no data is kept",
                fix="the same without `--with-data`: the release comes back, and everything that people wrote stays",
            )
        plan, facts = load_plan(place, digest), facts_here()
        first = snapshots.exchanges(standing, digest, store, targets(), place) if with_data else ()
        run = Run("rollback", digest, store, Executor(place, store, progress), progress)
        change = Change(run, release, plan, facts, standing, targets(), place, first=first)
        if first:
            change = replace(change, data_back=lambda now: snapshots.undoes(first, store, now, targets(), place))
        applied, _, findings = enforce(change)
        return RolledBackTo(digest, previous, applied, Report((*findings, *learn(plan, store, place)), 0))


def _earlier(good: tuple[str, ...], folders: frozenset[str], current: str | None, to: str | None) -> str:
    kept = [digest for digest in good if digest in folders]
    if to is not None:
        found = [digest for digest in kept if digest.startswith(to)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(digest[:12] for digest in kept) or "none"
        raise BadInput(f"no kept release is named {to}", fix=f"one of: {known}   (`provision history` lists them)")
    others = [digest for digest in kept if digest != current]
    if not others:
        raise Refused("there is no earlier release to go back to", fix="provision history   (lists what was in force)")
    return others[0]


def status(state_dir: str) -> Status:
    """What is in force and whether it runs; nobody is asked for an answer."""
    from provisioner.phases.survey import load_plan, running
    from provisioner.world.store import busy, reading

    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
        held = busy(place.state)
        unfinished = store.interrupted() if not held else ()
        plan = load_plan(place, digest) if digest else None
        there = {one.service: one for one in running(place.state, digest) if one.digest == digest}
        return Status(
            release=digest,
            plan=plan,
            services=tuple(
                ServiceStatus(service, there.get(service.name)) for service in (plan.services if plan else ())
            ),
            beside=tuple(BesideStatus(one, there.get(one.name)) for one in (plan.beside if plan else ())),
            unfinished=_unfinished(unfinished[0], store.last_step(unfinished[0].run)) if unfinished else None,
            holder=held,
            learned=_readings(plan, store) if plan and plan.reckoned else (),
            weights_bytes=_on_disk(place),
            speed=_measured(plan, digest, store) if plan and digest else None,
        )


def _on_disk(place: Place) -> int:
    """Of the store of weights; a file with many names lies there once."""
    blobs = f"{place.state}/blobs/sha256"
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(blobs)) if os.path.isdir(blobs) else 0


def _readings(plan: Plan, store: "Store") -> "tuple[Reading, ...]":
    """What was planned of memory, and what the engine said of it: the same for whoever reads or scripts it."""
    from provisioner.model.learned import Learned
    from provisioner.planning.residuals import readings

    return readings(plan.reckoned, Learned(store.residuals()))


def _measured(plan: Plan, digest: str, store: "Store") -> "Baseline | None":
    return store.baseline(digest, plan.model.id if plan.model else "", plan.engine or "")


def _unfinished(entry: HistoryEntry, step: str) -> str:
    return f"run {entry.run} (`provision {entry.verb}`) was cut off at: {step}"


def bench(state_dir: str, quick: bool, progress: Progress = QUIET, wait: float = 0.0) -> Benched:
    """How fast what is in force is, kept beside its release."""
    from provisioner.phases.bench import bench as measure
    from provisioner.phases.survey import load_plan
    from provisioner.world.store import is_ours, locked

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
    with locked(place.state, "bench", wait) as store:
        digest = store.current()
        if digest is None:
            raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
        plan = load_plan(place, digest)
        _may_ask(plan)
        baseline = measure(plan, digest, progress, quick=quick)
        store.remember_baseline(baseline)
        return Benched(plan, baseline)


def check(state_dir: str) -> Checked:
    """Ask what is in force, now, and hold the answers against the rules."""
    from provisioner.phases.judge import judge
    from provisioner.phases.observe import observe
    from provisioner.phases.prepare import facts_here
    from provisioner.phases.survey import load_plan, running
    from provisioner.world.store import reading

    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
    if digest is None:
        raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
    plan = load_plan(place, digest)
    _may_ask(plan)
    observed: Observed = observe(plan, running(place.state))
    findings = judge("after", View(plan, facts_here(), observed, {}, place.state))
    return Checked(digest, observed, Report(findings, 1 if _errors(findings) else 0))


def _may_ask(plan: Plan) -> None:
    """One reason instead of one for each question that could not be asked."""
    for service in plan.services:
        if os.path.exists(os.path.dirname(service.key_file)) and not os.access(service.key_file, os.R_OK):
            raise Refused(
                f"{service.key_file}: the key is its owner's alone, and without it the engine cannot be asked",
                fix="sudo provision check   (as the one who ran `provision up`)",
            )


def doctor(state_dir: str, sysroot: str | None) -> "Examined":
    """What drifted apart on this machine, with what its release in force needs; or on another one, by its files."""
    from provisioner.phases.doctor import examine, examine_here
    from provisioner.world.machine import RecordedMachine
    from provisioner.world.store import reading

    if sysroot is not None:
        return examine(RecordedMachine(sysroot), None, None, "/var/lib/provision")
    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
    return examine_here(digest, place)


def make_ready(spec: Spec, docker_from: str | None, state_dir: str, progress: Progress) -> None:
    """The first rounds of `up` on a bare server: what is installed changes the facts that all else is decided from."""
    from provisioner.model.host import HostWish
    from provisioner.phases.prepare_host import make_ready

    make_ready(spec, HostWish(docker_from), place_of(state_dir), progress)


def prepare(
    spec: Spec, wish: "HostWish", state_dir: str, only_check: bool = False, progress: Progress = QUIET
) -> "Prepared":
    """Give this host what the plan stands on, round by round; with `only_check`, tell what that would be."""
    from provisioner.phases.prepare_host import prepare_host

    return prepare_host(spec, wish, place_of(state_dir), only_check, progress)


def logs(state_dir: str, service: str | None, follow: bool, lines: int) -> Iterator[str]:
    """The services' own words, the last ones first to come; with `follow`, until nobody listens."""
    from provisioner.world import containers
    from provisioner.world.files import explain
    from provisioner.world.logs import read

    state = place_of(state_dir).state
    folder = f"{state}/logs"
    try:
        found = os.listdir(folder) if os.path.isdir(folder) else []
    except OSError as error:
        raise explain(error, "reading the logs") from error
    contained = containers.names(state)
    kept = sorted({name.removesuffix(".log") for name in found if name.endswith(".log")} - set(contained))
    names = (*contained, *kept)
    if not names:
        raise Refused(f"{folder}: there is no log", fix="provision up")
    if service is not None and service not in names:
        raise BadInput(f"no service is named {service}", fix=f"one of: {', '.join(names)}")
    if contained and (service is None or service in contained):
        return containers.read(state, (service,) if service else contained, lines, follow=follow)
    return read([f"{folder}/{name}.log" for name in ([service] if service else names)], follow, lines)


def history(state_dir: str) -> tuple[HistoryEntry, ...]:
    """Every run, the newest first."""
    from provisioner.world.store import reading

    with reading(place_of(state_dir).state) as store:
        return store.history()
