"""Put a release to work, prove that it answers, and keep it; or bring back what was there before."""

from collections.abc import Callable, Mapping
from contextlib import suppress

from provisioner.errors import Interrupted, RolledBack, RunFailed, UserError
from provisioner.model.actions import Action, Activate, RemoveTree
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Place, Target
from provisioner.model.record import dataclass
from provisioner.model.release import Applied, Release, Standing
from provisioner.model.report import Observed
from provisioner.phases.prove import prove
from provisioner.phases.run import Run
from provisioner.phases.survey import load_plan, survey
from provisioner.planning import diff

TRACES = ("releases", "secrets", "data", "live")
"""What a first installation that failed leaves besides its log, which tells why; what was there before it stays."""

Proved = tuple[Applied, Observed, tuple[Finding, ...]]
Return = tuple[tuple[Action, ...], str]
"""What is done before the release from before starts again, and what there is to say of it."""


def _nothing_more() -> tuple[Finding, ...]:
    return ()


def _as_it_is(_now: Standing) -> Return:
    return (), ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be put in force, over what stands, in one run."""

    run: Run
    release: Release
    plan: Plan
    facts: HostFacts
    standing: Standing
    targets: Mapping[str, Target]
    place: Place
    first: tuple[Action, ...] = ()
    """What is done before anything of the new release is."""
    also: Callable[[], tuple[Finding, ...]] = _nothing_more
    """What is looked at besides, once every check has passed."""
    data_back: Callable[[Standing], Return] = _as_it_is
    """Where what services keep has to become again what it was."""


def enforce(change: Change) -> Proved:
    """The release in force and proved, or the one before it, and an error that says so."""
    run, digest = change.run, change.release.digest
    try:
        run.do(change.first)
        standing = survey(run.store, change.place) if change.first else change.standing
        run.do(diff.puts(standing, change.release, change.targets, change.place))
        observed, findings = prove(change.plan, change.facts, change.place, run.progress)
        findings = findings if _errors(findings) else (*findings, *change.also())
    except BaseException as error:
        raise _undone(change, error) from error
    failed = _errors(findings)
    if failed:
        raise _given_up(change, failed)
    try:
        run.do((Activate(digest),))
    except BaseException as error:
        # The journal may fail to note what was done: the release that is in force is not taken away for that.
        if run.store.current() != digest:
            raise _undone(change, error) from error
    findings = (*findings, *_tidy(change))
    return run.close("good", findings), observed, findings


def heal(change: Change) -> Proved:
    """Everything stands and yet it does not answer: start it again, and prove it."""
    run = change.run
    try:
        run.do(change.targets[change.release.target].restart(change.standing, change.release, change.place))
        observed, findings = prove(change.plan, change.facts, change.place, run.progress)
    except BaseException as error:
        run.close("failed" if isinstance(error, Exception) else "interrupted")
        raise
    failed = _errors(findings)
    if failed:
        run.close("failed", failed)
        raise RunFailed(
            f"{change.plan.hostname}: the services were started again and still do not pass their checks",
            details=_told(failed),
            fix=failed[0].fix or "provision logs   (the engine's own words)",
        )
    return run.close("good", findings), observed, findings


def _errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.level == "error")


def _told(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    return tuple(f"{finding.id}: {finding.message}" for finding in findings)


def _undone(change: Change, error: BaseException) -> BaseException:
    """The error to raise, once what was there before is back."""
    state, _ = put_back(change)
    with suppress(UserError, OSError):  # A journal that cannot be written must not hide why.
        change.run.close("failed" if isinstance(error, Exception) else "interrupted")
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(f"interrupted; {state}", fix="run the same command again when you are ready")
    if isinstance(error, UserError):
        return RunFailed(f"{error.message}; {state}", fix=error.fix, details=error.details)
    return error


def _given_up(change: Change, failed: tuple[Finding, ...]) -> UserError:
    """The new release does not pass; what follows depends on whether the one before does."""
    state, restored = put_back(change)
    change.run.close("rolled-back" if restored else "failed", failed)
    kind = RolledBack if restored else RunFailed
    what = "is slower than is tolerated" if failed[0].id == "slower" else "does not pass its checks"
    return kind(
        f"{change.plan.hostname}: the new release {what}; {state}",
        details=_told(failed),
        fix=failed[0].fix or "provision logs   (the engine's own words)",
    )


def put_back(change: Change) -> tuple[str, bool]:
    """Bring back what was in force: what is in force now, as a sentence, and whether that is the state from before."""
    before = change.standing.current
    _keep_words(change)
    try:
        if before is not None:
            return _back_to(change, before)
        if change.standing.folders or change.standing.running:
            return _leave(change)
        now = survey(change.run.store, change.place)
        traces = tuple(name for name in TRACES if f"{change.place.state}/{name}" not in change.standing.trees)
        change.run.do(diff.takes_down(now, change.targets, change.place, traces, active=False))
    except (UserError, OSError) as error:
        return f"the previous state could not be brought back either ({error})", False
    return "nothing is in force, as before; the log is kept", True


def _keep_words(change: Change) -> None:
    """What containers wrote goes with them, and tells why they did not come up: it is kept where the other logs are."""
    from provisioner.world import containers

    with suppress(UserError, OSError):
        containers.keep_logs(change.place.state)


def _back_to(change: Change, before: Release) -> tuple[str, bool]:
    run, place = change.run, change.place
    actions, kept = change.data_back(survey(run.store, place))
    run.do(actions)
    run.do(diff.puts(survey(run.store, place), before, change.targets, place))
    _, findings = prove(load_plan(place, before.digest), change.facts, place, run.progress)
    _drop_new(change)
    failed = _errors(findings)
    doubt = f", but it does not pass its checks either ({failed[0].message})" if failed else ""
    return f"release {before.digest[:12]} is back{kept}{doubt}", not failed


def _leave(change: Change) -> tuple[str, bool]:
    """What was there before was no release that could be executed again: what this run made goes, all else stays."""
    now = survey(change.run.store, change.place)
    stops = change.targets[change.release.target].replace(now, None, change.place)
    change.run.do(stops)
    _drop_new(change)
    return "what ran before cannot be started again from its damaged release; its files and keys are kept", False


def _drop_new(change: Change) -> None:
    run, place, digest = change.run, change.place, change.release.digest
    if digest in survey(run.store, place).folders - change.standing.folders:
        run.do((RemoveTree(place.release(digest)),))
    clear(run, place)


def clear(run: Run, place: Place) -> None:
    """Half-made files of a step that failed go at once."""
    run.do(tuple(RemoveTree(path) for path in survey(run.store, place).leftovers))


def _tidy(change: Change) -> tuple[Finding, ...]:
    """Old releases and half-made files go; what cannot be removed, even when tried twice, is told and left to the next run."""
    why = _tidied(change) and _tidied(change)
    fix = "the next `provision up` removes it"
    return (Finding("tidy", "warning", f"{change.plan.hostname}: {why}", fix=fix),) if why else ()


def _tidied(change: Change) -> str:
    """Why it is not tidy; empty when it is."""
    run, place = change.run, change.place
    try:
        run.do(diff.settles(survey(run.store, place), change.release, run.store.good_releases(), place))
    except (UserError, OSError) as error:
        return str(error)
    return ""
