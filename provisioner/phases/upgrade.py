"""One release gives way to another that is no slower; people's data and the figures of the old one are kept before."""

from collections.abc import Mapping
from contextlib import suppress

from provisioner import catalog
from provisioner.errors import RunFailed, UserError
from provisioner.model.actions import Action
from provisioner.model.baseline import Baseline
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Place, Target
from provisioner.model.record import dataclass, replace
from provisioner.model.release import Release, Standing
from provisioner.model.upgrading import Speeds, Terms
from provisioner.phases import snapshots
from provisioner.phases.bench import bench
from provisioner.phases.enforce import Change, Proved, enforce
from provisioner.phases.owed import pays
from provisioner.phases.run import Run
from provisioner.phases.survey import load_plan
from provisioner.planning.several.merged import apart
from provisioner.planning.speed.measuring import TOLERANCE, slower
from provisioner.rendering import drafts_of


@dataclass(frozen=True, slots=True)
class Step:
    """From the release that stands to the next one, in one run."""

    run: Run
    release: Release
    plan: Plan
    facts: HostFacts
    standing: Standing
    targets: Mapping[str, Target]
    place: Place
    terms: Terms
    left: str
    """The digest of the release in force."""
    first: tuple[Action, ...] = ()
    """What has been planned for people's data: where it is empty, a snapshot is taken."""


def tolerance_of(terms: Terms, plan: Plan) -> float:
    """As the operator says, or the profile."""
    if terms.tolerance is not None:
        return terms.tolerance
    books = catalog.load_catalog()
    return books.profile(plan.profile).tolerance if plan.profile in books.profiles else TOLERANCE


def in_force(place: Place, digest: str, current: Release | None) -> Plan:
    """The plan of the release that is left, with the files that its containers read: the record of a plan leaves them out.

    They lie in folders of their plug-ins' names.
    """
    plan = load_plan(place, digest)
    kinds = {one.kind for one in plan.beside}
    files = drafts_of(current.files, place.release(digest)) if current else ()
    return replace(plan, files=tuple(file for file in files if file.path.partition("/")[0] in kinds))


def step_up(step: Step) -> tuple[Proved, tuple[Speeds, ...]]:
    """The new release in force, and what was measured of its models before and after; or the old one, and an error that says so."""
    try:
        before, notes = _before(step)
        if not step.first:
            step.run.do(snapshots.takes(step.standing, step.place.snapshot(step.left), step.run.store, step.place))
    except BaseException as error:
        with suppress(UserError, OSError):  # A journal that cannot be written must not hide why.
            step.run.close("failed" if isinstance(error, Exception) else "interrupted")
        raise
    judge = Judge(step, before)
    change = Change(
        step.run, step.release, step.plan, step.facts, step.standing, step.targets, step.place, first=step.first,
        also=lambda: (*notes, *judge.findings()),
        data_back=lambda now: pays(now, step.run.store, step.targets, step.place),
    )  # fmt: skip
    proved = enforce(change)
    return proved, tuple(Speeds(name, before.get(name), after) for name, after in judge.after.items())


def _before(step: Step) -> tuple[dict[str, Baseline], tuple[Finding, ...]]:
    """What each model of the release in force does, measured now where it never was; one that does not answer is upgraded all the same."""
    plan = load_plan(step.place, step.left)
    try:
        return {one.model: one for one in (_known(part, step) for part in apart(plan))}, ()
    except RunFailed as error:
        message = f"how fast the release before was is not known ({error.message}): nothing is compared"
        return {}, (Finding("baseline", "note", message),)


def _known(plan: Plan, step: Step) -> Baseline:
    """As it was measured before, or now."""
    known = step.run.store.baseline(step.left, plan.model.id if plan.model else "", plan.engine or "")
    if known is not None:
        return known
    found = bench(plan, step.left, step.run.progress, quick=True)
    step.run.store.remember_baseline(found)
    return found


class Judge:
    """Measures the new release once it is proved, and again before it is called slower: a busy moment is no regression."""

    def __init__(self, step: Step, before: Mapping[str, Baseline]) -> None:
        self.step = step
        self.before = before
        self.after: dict[str, Baseline] = {}

    def findings(self) -> tuple[Finding, ...]:
        try:
            found = self._slower() and self._slower()
        except RunFailed as error:
            return (Finding("bench", "error", error.message, fix=error.fix),)
        if self.step.terms.accept_slower:
            return tuple(replace(one, level="warning", fix="") for one in found)
        return found

    def _slower(self) -> tuple[Finding, ...]:
        return tuple(finding for part in apart(self.step.plan) for finding in self._slower_than_before(part))

    def _slower_than_before(self, plan: Plan) -> tuple[Finding, ...]:
        """One model against itself; one that is new has nothing to be held against."""
        step = self.step
        after = bench(plan, step.release.digest, step.run.progress, quick=True)
        step.run.store.remember_baseline(after)
        self.after[after.model] = after
        before = self.before.get(after.model)
        found = slower(before.speed, after.speed, tolerance_of(step.terms, step.plan)) if before else ()
        named = f"{after.model}: " if step.plan.models else ""
        return tuple(replace(one, message=f"{named}{one.message}") for one in found)
