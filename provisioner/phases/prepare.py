"""Look before anything is done: gather, plan, and compute the effects between what stands and what is wanted."""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from provisioner import catalog
from provisioner.errors import Refused
from provisioner.model.actions import Action
from provisioner.model.facts import SYSTEM_NAMES, HostFacts
from provisioner.model.learned import Learned
from provisioner.model.plan import Finding, Plan, Service, WeightFile
from provisioner.model.plugins import Place, ServiceManager, Target, Vendor, View
from provisioner.model.record import dataclass, replace
from provisioner.model.release import Release, Standing
from provisioner.model.spec import Spec
from provisioner.phases.judge import judge
from provisioner.planning import diff
from provisioner.planning.machine.ground import system_of
from provisioner.planning.plan import make_plan
from provisioner.rendering import outlined, render

if TYPE_CHECKING:  # A plan for another machine shall not pay for looking at this one.
    from provisioner.world.store import Store

CONTAINERS = "docker"
"""The target whose services come as images."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What is there, what is wanted, and what lies between. `release` is None while a weight has no hash yet."""

    facts: HostFacts
    plan: Plan
    standing: Standing
    release: Release | None
    fetches: tuple[Action, ...]
    puts: tuple[Action, ...]
    settles: tuple[Action, ...]
    first: tuple[Action, ...] = ()
    """What keeps people's data before another release meets it, or brings it back where a run that was cut off left it changed."""

    @property
    def actions(self) -> tuple[Action, ...]:
        return (*self.fetches, *self.first, *self.puts, *self.settles)


def look(spec: Spec, store: "Store", place: Place) -> Ground:
    """This machine as it is now. Nothing is changed, and no network is asked, but for a model that only a hub knows."""
    from provisioner.phases.around import not_installed, ports_taken
    from provisioner.phases.survey import half_made_bytes, survey, with_hub
    from provisioner.weights.shelf import shelf
    from provisioner.world.units import service_manager

    standing = survey(store, place)
    facts = facts_here()
    books = catalog.load_catalog()
    at_hand = with_hub(spec, shelf(spec, store, place), books)
    plan = make_plan(spec, facts, books, at_hand, place, in_force(standing, place), Learned(store.residuals()))
    plan = beside_engines(_named_folder(plan, spec), spec, place, facts)
    standing = _with_images(plan, standing, spec.images)
    taken = ports_taken(plan, standing.running)
    manager = service_manager(place) if plan.target == "systemd" else None
    plan = replace(plan, findings=(*plan.findings, *not_installed(plan)))
    plan, image_bytes = _with_downloads(plan, standing)
    plan = checked(plan, facts, taken, place, manager, half_made_bytes(standing, plan), image_bytes)
    return _with_data_safe(ground(plan, facts, standing, store.good_releases(), place), store, place)


def _with_data_safe(ground: Ground, store: "Store", place: Place) -> Ground:
    """What earlier runs owe comes first, and what a page of another image may change is kept; nearly always there is nothing."""
    if ground.plan.verdict != "fits" or not (ground.actions or store.unsettled()):
        return ground
    from provisioner.phases.owed import pays
    from provisioner.phases.snapshots import takes_for_another

    targets = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))
    digest = ground.release.digest if ground.release else ""
    actions, told = pays(ground.standing, store, targets, place, digest)
    if not actions:
        return replace(ground, first=takes_for_another(ground.plan, ground.standing, store, place))
    what = f"{ground.plan.hostname}: a run was cut off after its release changed what people's data looks like; it comes back{told}"
    finding = Finding("data-back", "warning", what)
    return replace(ground, first=actions, plan=replace(ground.plan, findings=(*ground.plan.findings, finding)))


def _with_downloads(plan: Plan, standing: Standing) -> tuple[Plan, int]:
    """The plan with what is to be pulled in words, and how much that is as far as it is known."""
    if plan.target != CONTAINERS or plan.verdict != "fits":
        return plan, 0
    from provisioner.planning import pulled

    names = pulled.missing(plan, standing)
    return replace(plan, findings=(*plan.findings, *pulled.told(plan, names))), pulled.known_bytes(names)


def beside_engines(plan: Plan, spec: Spec, place: Place, facts: HostFacts, *, rendered: bool = True) -> Plan:
    """The plan with all that stands beside its engines, on the target that has room for it."""
    if plan.target != CONTAINERS or plan.verdict != "fits":
        return plan
    from provisioner.planning.serving.beside import with_companions

    return with_companions(plan, spec, place, facts, rendered=rendered)


def _with_images(plan: Plan, standing: Standing, archives: str | None) -> Standing:
    """What pins the images that a plan for containers names, and where those lie that are not here."""
    from provisioner.world.images import pinned  # Only who plans for containers asks for images.

    if plan.target != CONTAINERS or plan.verdict != "fits":
        return standing
    from provisioner.world.certificates import insist_on, stands

    for one in plan.makes:
        insist_on(one)
    made = frozenset(one for one in plan.makes if stands(one))
    wanted = diff.images_of(plan)
    here = pinned(wanted)
    missing = tuple(name for name in wanted if name not in here)
    return replace(standing, images=here, made=made, archives=_archived(archives, missing))


def _archived(archives: str | None, missing: tuple[str, ...]) -> Mapping[str, str]:
    if archives is None or not missing:
        return {}
    from provisioner.world.archives import holding

    return holding(archives, missing)


def _named_folder(plan: Plan, spec: Spec) -> Plan:
    """Whoever names a folder of weights shall not find a download begun instead."""
    files = plan.weights if plan.verdict == "fits" else ()
    missing = [file.name for file in files if spec.weights and file.origin.startswith("hub:")]
    if not missing:
        return plan
    what = f"{spec.weights}: there is no {missing[0]} in this folder"
    fix = "put it there, or leave `--weights` away to download it"
    return replace(plan, findings=(*plan.findings, Finding("weights-folder", "error", what, fix=fix)))


def ground(
    plan: Plan, facts: HostFacts, standing: Standing, good: tuple[str, ...], place: Place, *, rendered: bool = True
) -> Ground:
    """The effects between what stands and a plan; none where the plan is refused."""
    if plan.verdict != "fits" or plan.model is None:
        return Ground(facts, plan, standing, None, (), (), ())
    targets = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))
    if plan.target is None or plan.target not in targets or not _starts(plan):
        return Ground(facts, plan, standing, None, (), (), ())
    files = plan.weights
    images = diff.images_of(plan) if plan.target == CONTAINERS else ()
    missing = diff.pulls(plan, standing) if images else ()
    fetches = (*diff.fetches(files, urls_of(files), standing, place), *missing)
    plan = diff.with_images(plan, standing.images) if images else plan
    release = (render if rendered else outlined)(plan, targets[plan.target or ""], place)
    puts = diff.puts(standing, release, targets, place)
    return Ground(facts, plan, standing, release, fetches, puts, diff.settles(standing, release, good, place))


def urls_of(files: tuple[WeightFile, ...]) -> dict[str, str]:
    from provisioner.weights.hubs import url_of

    return {
        file.origin: file.origin if file.origin.endswith("/") else url_of(file.origin)
        for file in files
        if file.origin.startswith("hub:")
    }


def in_force(standing: Standing, place: Place) -> Plan | None:
    """The plan of what runs now; of one that does not run, no memory will come back."""
    from provisioner.phases.survey import load_plan

    if standing.current is None:
        return None
    plan = load_plan(place, standing.current.digest)
    runs = any(one.digest == standing.current.digest for one in standing.running)
    return plan if runs else replace(plan, memory=None)


def facts_here() -> HostFacts:
    """This machine's facts, as far as this user may see them."""
    from provisioner.phases.gather import gather
    from provisioner.world.machine import ThisMachine

    vendors = cast(Mapping[str, Vendor], catalog.scan("provisioner.accelerators", "VENDOR"))
    return gather(ThisMachine(), vendors)


def checked(
    plan: Plan,
    facts: HostFacts,
    taken: Mapping[int, str],
    place: Place,
    manager: ServiceManager | None = None,
    spare_bytes: int = 0,
    image_bytes: int = 0,
) -> Plan:
    """The plan with what the checks before say of it."""
    view = View(plan, facts, None, taken, place.state, manager, spare_bytes=spare_bytes, image_bytes=image_bytes)
    findings = judge("before", view)
    return replace(plan, findings=(*plan.findings, *findings))


def insist(plan: Plan) -> None:
    """Refuse a plan that does not fit, or whose machine is not ready; all reasons at once."""
    if plan.verdict == "fits":
        _insist_on_a_start(plan)
    errors = [finding for finding in plan.findings if finding.level == "error"]
    if plan.verdict == "fits" and not errors:
        return
    changes = tuple(
        f"would fit: {change.change}{f' ({flags})' if flags else ''}: {change.effect}"
        for change in plan.cheapest_changes
        for flags in (shlex.join(change.flags),)
    )
    fix = next((finding.fix for finding in errors if finding.fix), "")
    first = plan.binding or errors[0].message
    raise Refused(
        f"{plan.hostname}: {first}",
        details=(*(f"{one.id}: {one.message}" for one in errors if one.message != first), *changes),
        fix=fix or "provision plan --explain",
    )


def insist_on_linux(plan: Plan, facts: HostFacts) -> None:
    """A release folder is for Linux: what keeps its services there asks that kernel."""
    if system := system_of(facts):
        raise Refused(
            f"{plan.hostname}: nothing is rendered for {SYSTEM_NAMES.get(system, system)}: this version starts nothing there",
            fix="`provision plan` says what fits there; start that engine by hand",
        )


def _insist_on_a_start(plan: Plan) -> None:
    """More may be planned than this version starts: several machines, and what nobody publishes."""
    if bare := _without_image(plan):
        raise Refused(
            f"{plan.hostname}: no image of {bare.engine} is known for this machine, and `{bare.name}` cannot be started",
            fix="name the one that the maker gives you: `--set image=NAME`",
        )
    if unmade := _unpublished(plan):
        raise Refused(
            f"{plan.hostname}: nobody is known to publish {unmade[0]}; it would have to be made of {unmade[1]}",
            fix="make it, and name its folder: `--model FOLDER`; or choose a `--precision` that is published",
        )
    if (count := _machines(plan)) > 1:
        raise Refused(
            f"{plan.hostname}: the plan is for {count} machines, and `provision up` starts what runs on one",
            fix="a model or a precision that one machine has room for: `provision plan --explain` names them",
        )
    if planned := next((one for one in plan.findings if one.id == "planned-only"), None):
        raise Refused(f"{plan.hostname}: {planned.message}", fix=planned.fix)


def _machines(plan: Plan) -> int:
    """How many machines its services are for, by their places and by what their engines are told."""
    told = (one.options.get("nnodes", "") for one in plan.services)
    return max(len({one.node for one in plan.services}), *(int(words) for words in told if words.isdecimal()), 1)


def _without_image(plan: Plan) -> Service | None:
    """The first service that no image is known for, on the target whose services come as images."""
    services = plan.services if plan.target == CONTAINERS else ()
    return next((one for one in services if not one.image), None)


def _unpublished(plan: Plan) -> tuple[str, str] | None:
    """The model whose files are not published, and what they would have to be converted from."""
    found = ((model, file.origin) for model in plan.chosen for file in model.files)
    made = ((model, origin) for model, origin in found if origin.startswith("convert:"))
    return next(
        ((f"{one.title} in {one.precision}", origin.partition("/")[2].rstrip("/")) for one, origin in made), None
    )


def _starts(plan: Plan) -> bool:
    told = any(one.id == "planned-only" for one in plan.findings)
    return not told and not _without_image(plan) and not _unpublished(plan)
