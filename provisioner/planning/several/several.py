"""Several models on one machine: each planned for good on the devices, and with the bytes, that the packing gave it.

A model is planned as if the others were programs of somebody else: what they use is not free. So every rule that holds for one model
holds here, and the sums are made afterwards. On a device that models share, what nobody needs is dealt out in proportion to the needs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from provisioner.catalog import Catalog
from provisioner.errors import BadInput
from provisioner.model.facts import HostFacts, Limits, Memory, Unknown
from provisioner.model.learned import NOTHING, Learned
from provisioner.model.plan import Decision, Plan
from provisioner.model.record import replace
from provisioner.model.spec import MOST_MODELS, Spec
from provisioner.planning.asked.names import lookup
from provisioner.planning.asked.settings import engine_named, wish_of
from provisioner.planning.serving.service import ports_end
from provisioner.planning.several.dealing import Table, deal
from provisioner.planning.several.merged import merged
from provisioner.planning.several.packing import Placed
from provisioner.planning.several.steady import first_ports, in_force_of
from provisioner.planning.several.ways import HOST, only
from provisioner.planning.tries.attempt import Scene

PlanOne = Callable[[Spec, HostFacts], Plan]
PlanLearned = Callable[[Spec, HostFacts, Learned], Plan]


def plan_several(spec: Spec, scene: Scene, planner: PlanLearned, in_force: Plan | None = None) -> Plan:
    """`scene` is the machine, `planner` plans a single model on it; one of several alone is that model."""
    _insist(spec, scene.catalog)
    if len(spec.models) == 1 and scene.wish.replicas is None:
        return planner(replace(spec, model=spec.models[0], models=()), scene.facts, scene.learned)
    plan_one = partial(_steady, planner, scene.learned)
    table, plans = _dealt(spec, scene, plan_one)
    if table.packed.left:
        from provisioner.planning.several.crowded import refused

        return refused(table)
    failed = next((pair for pair in zip(table.names, plans, strict=True) if pair[1].verdict != "fits"), None)
    if failed is not None:
        from provisioner.planning.several.crowded import refused_beside

        return refused_beside(*failed, left_bytes=_host_left(table, plans))
    _insist_on_names(table, plans)
    if len({plan.target for plan in plans}) > 1:
        return plan_several(replace(spec, target=_common_target(plans)), scene, planner, in_force)
    lasting = _lasting(table, plans, plan_one, in_force)
    called = tuple(_called(lasting, in_force, table.first_port))
    if any(engine_named(plan.engine or "").one_server for plan in called):
        from provisioner.planning.several.together import in_one_server  # Few engines have one for all.

        called = in_one_server(called)
    return merged(called, _decision(table), scene.wish.replicas or 1)


def _dealt(spec: Spec, scene: Scene, plan_one: PlanOne) -> tuple[Table, tuple[Plan, ...]]:
    """Dealt out by the arithmetic alone while that holds: shares that followed each measurement would make every start another release."""
    if scene.learned.residuals:
        table, plans = _tried(spec, replace(scene, learned=NOTHING, known={}), plan_one)
        if plans and all(plan.verdict == "fits" for plan in plans):
            return table, plans
    return _tried(spec, scene, plan_one)


def _steady(planner: PlanLearned, learned: Learned, spec: Spec, facts: HostFacts) -> Plan:
    """What starts measured corrects what is told of the memory, and in a share that still holds it nothing of what is started."""
    told = planner(spec, facts, learned)
    if not learned.residuals or told.verdict != "fits":
        return told
    bare = planner(spec, facts, NOTHING)
    return bare if bare.verdict == "fits" and bare.services != told.services else told


def _tried(spec: Spec, scene: Scene, plan_one: PlanOne) -> tuple[Table, tuple[Plan, ...]]:
    table = deal(spec, scene)
    return table, () if table.packed.left else tuple(_settled(table, plan_one))


def _insist(spec: Spec, catalog: Catalog) -> None:
    """`BadInput` for what cannot be meant."""
    if spec.model is not None:
        raise BadInput("`model` and `models` are both given", fix="put the one model into `models` as well")
    wanted = len(spec.models) * (wish_of(replace(spec, models=())).replicas or 1)
    if wanted > MOST_MODELS:
        raise BadInput(
            f"{wanted} {'models' if wanted == len(spec.models) else 'copies of models'} are asked for, and the best places are found "
            f"for {MOST_MODELS} at most",
            fix=f"name {MOST_MODELS} or fewer; more of them go on a second machine",
        )
    seen: dict[str, str] = {}
    for name in spec.models:
        named = None if name.startswith("/") else lookup(catalog, name)
        key = named.entry.id if named else name
        if key in seen:
            both = f"`{name}`" if seen[key] == name else f"`{seen[key]}` and `{name}`"
            raise BadInput(f"{both}: the same model is asked for twice", fix="name each model once")
        seen[key] = name
    if spec.settings.get("placement", "").strip() == "split":
        raise BadInput("several models are put on devices or on the host, and not on both",
                       fix="leave `--set placement=split` away")  # fmt: skip


def _insist_on_names(table: Table, plans: Sequence[Plan]) -> None:
    """`BadInput` where requests could not tell two models from each other."""
    seen: dict[str, str] = {}
    for name, plan in zip(table.names, plans, strict=True):
        called = plan.services[0].model_name
        if seen.get(called, name) != name:
            raise BadInput(
                f"`{seen[called]}` and `{name}` are both called `{called}`, and requests name their model by that",
                fix="give the file of one of them another name",
            )
        seen[called] = name


def _common_target(plans: Sequence[Plan]) -> str:
    """Where nobody named one: the first that can start all of their engines, which are one release."""
    each = [engine_named(plan.engine or "").targets for plan in plans]
    common = next((name for name in each[0] if all(name in targets for targets in each)), None)
    if common is None:
        engines = ", ".join(dict.fromkeys(plan.engine or "" for plan in plans))
        raise BadInput(f"{engines}: no target starts all of them", fix="name one `--engine` for all models")
    return common


def _lasting(table: Table, plans: tuple[Plan, ...], plan_one: PlanOne, in_force: Plan | None) -> tuple[Plan, ...]:
    """The same with what is in force on the ports that it has."""
    ports = tuple(first_ports(plans, in_force_of(plans, in_force, table.first_port), table.first_port))
    return plans if ports == tuple(plan.services[0].port for plan in plans) else tuple(_settled(table, plan_one, ports))


def _settled(table: Table, plan_one: PlanOne, ports: Sequence[int] = ()) -> Iterator[Plan]:
    """One plan for each model, in their order, on these ports or on one after the other."""
    facts, port = table.scene.facts, table.first_port
    for place, (placed, ways) in enumerate(zip(table.packed.placed, table.ways, strict=True)):
        port = ports[place] if ports else port
        ports_end(port)
        spec = replace(table.spec, model=ways.model or placed.name, models=(), precision=ways.precision(placed.option),
                       settings=_settings(table, port))  # fmt: skip
        given = facts if table.host else only(facts, _free(placed, table))
        plan = plan_one(spec, given)
        yield replace(plan, decisions=tuple(_shares(plan, table, placed)))
        port += len(plan.services)
        facts = _with_less(facts, _host_bytes(plan))


def _settings(table: Table, port: int) -> Mapping[str, str]:
    placement = {} if table.host else {"placement": "device"}
    kept = {
        key: value
        for key, value in table.spec.settings.items()
        if key.strip().lower() not in ("port", "precision", "replicas")
    }
    return {**kept, **placement, "port": str(port), **({"replicas": "1"} if table.scene.wish.replicas else {})}


def _free(placed: Placed, table: Table) -> dict[str, int]:
    """On each of its devices the same: its need, and its part of what nobody needs on the fullest of them."""
    mine = placed.option.bytes_per_device
    free = {device.name: device.free_bytes for device in table.devices}
    if not placed.option.bounded:
        return {name: free[name] for name in placed.devices}
    shares = []
    for name in placed.devices:
        needs = sum(one.option.bytes_per_device for one in table.packed.placed if name in one.devices)
        shares.append(mine + (free[name] - needs) * mine // max(1, needs))
    return dict.fromkeys(placed.devices, min(shares))


def _called(plans: tuple[Plan, ...], in_force: Plan | None, first: int) -> Iterator[Plan]:
    """Every service by the name that it has, or by one that nobody else has."""
    kept = in_force_of(plans, in_force, first)
    used = {service.name for services in kept for service in services}
    for plan, services in zip(plans, kept, strict=True):
        names = [one.name for one in services] or list(_names(plan, used))
        yield replace(
            plan,
            services=tuple(replace(one, name=name) for one, name in zip(plan.services, names, strict=True)),
        )


def _names(plan: Plan, used: set[str]) -> Iterator[str]:
    """`llm-qwen3-8b` for `llm`; a number where two models come to the same name."""
    for service in plan.services:
        word = "".join(
            letter if letter.isalnum() and letter.isascii() else "-" for letter in service.model_name.lower()
        )
        first = f"llm-{word.strip('-')}{service.name.removeprefix('llm')}"
        name, number = first, 2
        while name in used:
            name, number = f"{first}-{number}", number + 1
        used.add(name)
        yield name


def _shares(plan: Plan, table: Table, placed: Placed) -> Iterator[Decision]:
    """Why a share is as small as it is: the planner of one model knows nothing of the others."""
    beside = [one.name for one in table.packed.placed if one is not placed and set(one.devices) & set(placed.devices)]
    for decision in plan.decisions:
        if beside and decision.subject == "share of the device":
            decision = replace(decision, because=f"the rest is for {', '.join(beside)}")
        yield decision


def _host_bytes(plan: Plan) -> int:
    budgets = plan.memory.per_device if plan.memory else ()
    return sum(one.budget_bytes - one.free_bytes for one in budgets if one.device == HOST)


def _host_left(table: Table, plans: Sequence[Plan]) -> int:
    """What the models that have their place leave of the host's memory."""
    room = table.scene.ground.host
    return 0 if isinstance(room, Unknown) else max(0, room.budget_bytes - sum(map(_fitting_bytes, plans)))


def _fitting_bytes(plan: Plan) -> int:
    return _host_bytes(plan) if plan.verdict == "fits" else 0


def _with_less(facts: HostFacts, used: int) -> HostFacts:
    """The same machine while somebody else uses so much of the host's memory."""
    memory, limits = facts.memory, facts.limits
    if isinstance(memory, Memory):
        memory = replace(memory, available_bytes=max(0, memory.available_bytes - used))
    if isinstance(limits, Limits) and limits.memory_bytes is not None:
        limits = replace(limits, memory_used_bytes=(limits.memory_used_bytes or 0) + used)
    return replace(facts, memory=memory, limits=limits)


def _decision(table: Table) -> Decision:
    """Who is where."""
    told = "; ".join(f"{one.name} on {_where(one.devices)}" for one in table.packed.placed)
    shared = _shared(table.packed.placed)
    because = "no way gives them more of their precision, or more of them devices of their own"
    if table.host:
        because = (
            "no way gives them more of their precision; each has what the ones before it leave of the host's memory"
        )
    if not table.packed.exact:
        because = "the best of the ways that were tried; there are too many to try all"
    return Decision("places", told, f"{because}; {shared}" if shared else because)


def _where(devices: Sequence[str]) -> str:
    return ", ".join(devices)


def _shared(placed: Sequence[Placed]) -> str:
    on: dict[str, list[str]] = {}
    for one in placed:
        for name in one.devices:
            on.setdefault(name, []).append(one.name)
    names = [name for name, models in on.items() if len(models) > 1 and name != HOST]
    return f"{_where(names)} {'is' if len(names) == 1 else 'are'} shared, each model within its part" if names else ""
