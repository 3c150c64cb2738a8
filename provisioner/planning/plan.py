"""From what is wanted and what is there to a plan that leaves nothing open, or to a refusal that says what would help."""

from provisioner.catalog import Catalog
from provisioner.errors import BadInput
from provisioner.model.facts import Host, HostFacts
from provisioner.model.learned import NOTHING, Learned
from provisioner.model.plan import (
    Change,
    Finding,
    MemoryBudget,
    ModelChoice,
    Parallel,
    Plan,
)
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.addresses import PORT
from provisioner.planning.asked.amounts import MIB
from provisioner.planning.asked.settings import Wish, target_of, wish_of
from provisioner.planning.machine.ground import Ground, parted, survey, system_of
from provisioner.planning.memory.residuals import decisions_of_starts
from provisioner.planning.remedies import reasons
from provisioner.planning.serving.service import decisions_of, services_of
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Choice, Scene
from provisioner.planning.tries.choose import choose
from provisioner.planning.tries.estimate import capacity_of

RELEASE_BYTES = 64 * MIB
"""Rendered files, the state's database and logs, which are rotated."""


def make_plan(
    spec: Spec,
    facts: HostFacts,
    catalog: Catalog,
    shelf: Shelf,
    place: Place,
    in_force: Plan | None = None,
    learned: Learned = NOTHING,
) -> Plan:
    """`in_force` is the plan of what runs now: `auto` stays with its tier. `learned` is what earlier starts measured."""
    spec = _copied(spec, catalog)
    if spec.models:
        from provisioner.planning.several.several import plan_several

        there = parted(facts, len(spec.models))
        several = Scene(_wish(spec, catalog), there, survey(there), catalog, shelf, learned=learned)
        return plan_several(
            spec,
            several,
            lambda one, there, known: make_plan(one, there, catalog, shelf, place, learned=known),
            in_force,
        )
    system = system_of(facts)
    wish = replace(_named(_wish(_kept(spec, in_force), catalog), catalog), system=system)
    ground = survey(facts)
    scene = Scene(wish, facts, ground, catalog, shelf, learned=learned)
    choice = choose(scene)
    if not choice.fits and wish.profile != spec.profile:
        scene = replace(scene, wish=replace(_named(_wish(spec, catalog), catalog), system=system))
        choice = choose(scene)
    plan = _outline(scene, choice)
    if not choice.fits:
        return _refused(plan, scene, choice, spec)
    plan = _accepted(plan, scene, choice, place, spec)
    if in_force is None or spec.model is None or wish.port != PORT:
        return plan
    from provisioner.planning.several.steady import left_alone  # Who names no model has not had several.

    return left_alone(
        plan,
        in_force,
        wish.port,
        lambda port: make_plan(
            replace(spec, settings={**spec.settings, "port": str(port)}), facts, catalog, shelf, place, learned=learned
        ),
    )


def _copied(spec: Spec, catalog: Catalog) -> Spec:
    """A model of which several copies are asked for by number is placed as several models are."""
    if (
        spec.models
        or not any(key.strip().lower() == "replicas" for key in spec.settings)
        or wish_of(spec).replicas == 1
    ):
        return spec
    model = spec.model or (catalog.profile(spec.profile).model if spec.profile in catalog.profiles else "")
    if not model:
        raise BadInput(
            f"replicas: profile `{spec.profile}` chooses its model by the machine", fix="name the `--model` as well"
        )
    return replace(spec, model=None, models=(model,))


def _wish(spec: Spec, catalog: Catalog) -> Wish:
    """What is asked for, with words that mean something to the catalog."""
    wish = wish_of(spec)
    if wish.precision is not None:
        from provisioner.planning.memory.precisions import insist  # Few name one.

        insist(catalog, wish.precision)
    return wish


def _named(wish: Wish, catalog: Catalog) -> Wish:
    """The catalog's own id for a model that was called by another of its names; what has files of its own keeps its name."""
    if wish.model is None or wish.model in catalog.models or wish.model.startswith("/"):
        return wish
    from provisioner.planning.asked.names import (  # Regular expressions, for those who name a model.
        find_model,
        of_catalog,
    )

    found = of_catalog(catalog, wish.model)
    if found is None:
        return wish if is_path(wish.model) else replace(wish, model=find_model(catalog, wish.model).entry.id)
    if found.gguf and found.offers and wish.precision not in (None, *found.offers):
        held = ", ".join(found.offers)
        raise BadInput(f"{found.gguf} holds {held}, and not {wish.precision}", fix=f"`--precision {found.offers[-1]}`")
    return replace(
        wish,
        gguf=found.gguf,
        model=found.entry.id,
        precision=wish.precision or found.precision,
        known_as=wish.model if found.alias else "",
    )


def _kept(spec: Spec, in_force: Plan | None) -> Spec:
    """`auto` chooses once: a tier that is in force stays while it fits, or each reading of free memory could swap it."""
    if in_force is None or spec.profile != "auto" or spec.model is not None or in_force.profile in ("custom", "demo"):
        return spec
    return replace(spec, profile=in_force.profile)


def _outline(scene: Scene, choice: Choice) -> Plan:
    """What is the same for a plan that fits and for one that is refused."""
    attempt = choice.attempt
    return Plan(
        verdict="fits" if choice.fits else "refused",
        profile=attempt.profile.name,
        hostname=scene.facts.host.hostname if isinstance(scene.facts.host, Host) else "this host",
        model=_model(attempt),
        engine=attempt.engine.name,
        target=target_of(scene.wish, attempt.engine),
        parallel=_parallel(attempt),
        context=attempt.rung.context,
        memory=_memory(attempt),
        capacity=capacity_of(scene, attempt),
        services=(),
        decisions=(
            *reasons.decisions(scene, choice),
            *decisions_of_starts(attempt.reckoned, elsewhere=scene.learned.elsewhere),
        ),
        binding=f"{attempt.profile.name}: {attempt.problem}" if attempt.problem else "",
        cheapest_changes=(),
        findings=(),
        reckoned=attempt.reckoned,
    )


def _accepted(plan: Plan, scene: Scene, choice: Choice, place: Place, spec: Spec) -> Plan:
    services = services_of(choice.attempt, scene, place)
    return replace(
        plan,
        services=services,
        decisions=(*plan.decisions, *decisions_of(services[0], choice.attempt, scene)),
        findings=(*_notes(scene.ground, choice.attempt), *reasons.warnings(scene, choice, spec)),
    )


def _refused(plan: Plan, scene: Scene, choice: Choice, spec: Spec) -> Plan:
    from provisioner.planning.remedies.changes import cheapest_changes  # Only a refusal needs these.
    from provisioner.planning.remedies.command import completed

    changes = tuple(completed(spec, change) for change in cheapest_changes(scene, choice))
    plan = replace(plan, binding=f"{plan.binding}{_too_many(changes, choice.attempt)}")
    ground = choice.attempt.ground or scene.ground
    blocking = next((one for one in ground.findings if one.message == choice.attempt.problem), None)
    remedy = blocking.fix if blocking else _remedy(changes, spec)
    notes = _notes(scene.ground, choice.attempt)
    others = tuple(finding for finding in notes if blocking is None or finding.id != blocking.id)
    return replace(
        plan, cheapest_changes=changes, findings=(Finding("fits", "error", plan.binding, fix=remedy), *others)
    )


def _too_many(changes: tuple[Change, ...], attempt: Attempt) -> str:
    """Requests at a time are a cause of their own where fewer of them would fit."""
    fewer = next((change.flags[1] for change in changes if change.flags[:1] == ("--concurrency",)), "")
    return f"; {attempt.slots} requests at a time are too many, and {fewer} would fit" if fewer else ""


def _remedy(changes: tuple[Change, ...], spec: Spec) -> str:
    """The cheapest change as a command to paste, or in words where it is one of the machine."""
    from provisioner.planning.remedies.command import command  # Only a refusal needs it.

    if not changes and spec.model is not None and spec.model.startswith("/"):
        return "bring a whole GGUF file there, as its publisher's sha256 says, or name another one with `--model`"
    if not changes:
        return "`provision detect` shows what is there"
    return command("up", spec, changes[0]) if changes[0].flags else changes[0].change


def _notes(ground: Ground, attempt: Attempt) -> tuple[Finding, ...]:
    """What the embedded engine lacks on this machine: no error for a plan that does not want its devices, and nothing to others."""
    if attempt.served is not None or (attempt.engine.program and attempt.ground is None):
        return ()
    ground = attempt.ground or ground
    return tuple(replace(finding, level="warning") if finding.level == "error" else finding
                 for finding in ground.findings)  # fmt: skip


def _model(attempt: Attempt) -> ModelChoice | None:
    subject = attempt.subject
    if subject is None:
        return None
    return ModelChoice(
        id=subject.id,
        title=subject.title,
        precision=subject.precision,
        format=subject.format,
        files=subject.files,
        weights_bytes=subject.weights_bytes,
        layers=subject.geometry.layers,
        parameters=subject.parameters,
        trained_context=subject.context,
        source=subject.source,
    )


def _cache_of(attempt: Attempt) -> int:
    return sum(budget.kv_cache_bytes for budget in (attempt.fit.budgets if attempt.fit else ()))


def _parallel(attempt: Attempt) -> Parallel:
    if attempt.served is None:
        return Parallel()
    layout = attempt.served.layout
    cut = layout.degrees
    return Parallel(
        tensor=cut.tensor,
        pipeline=cut.pipeline,
        data=cut.data,
        nodes=cut.nodes,
        replicas=layout.replicas,
        expert=cut.expert,
        decode_context=cut.decode_context,
    )


def _memory(attempt: Attempt) -> MemoryBudget | None:
    if attempt.fit is None or not attempt.fit.budgets or attempt.subject is None:
        return None
    host = [budget for budget in attempt.fit.budgets if budget.device == "host"]
    used = sum(budget.budget_bytes - budget.free_bytes for budget in host)
    weights = attempt.subject.weights_bytes
    weights += sum(part.size_bytes for file in attempt.subject.files for part in file.parts)
    if attempt.served is not None:
        load, pool = attempt.served.load, attempt.served.pool
        return MemoryBudget(attempt.fit.budgets, load.kv_bytes_per_token, pool.tokens, used, weights + RELEASE_BYTES,
                            pool.low_tokens, pool.high_tokens)  # fmt: skip
    each = attempt.need.kv_bytes_per_token if attempt.need else _cache_of(attempt) // max(1, attempt.kv_tokens)
    tokens = attempt.kv_tokens or attempt.rung.context * attempt.slots
    return MemoryBudget(attempt.fit.budgets, each, tokens, used, weights + RELEASE_BYTES, tokens, tokens)
