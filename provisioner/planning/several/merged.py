"""The plans of several models as one plan of their machine."""

from collections.abc import Sequence

from provisioner.model.plan import Decision, DeviceBudget, Finding, MemoryBudget, Plan, PlannedModel, Service
from provisioner.model.record import replace


def merged(plans: Sequence[Plan], places: Decision, copies: int = 1) -> Plan:
    """All of them fit; copies of a model stand next to each other."""
    each = tuple(_copied(plans[first : first + copies]) for first in range(0, len(plans), copies))
    if len(each) == 1:
        return replace(each[0], decisions=(places, *each[0].decisions))
    return _together(each, places)


def _copied(copies: Sequence[Plan]) -> Plan:
    """Copies of a model as one plan: they answer to one name, and each takes as many requests as any of them."""
    first, count, memory = copies[0], len(copies), _memory(copies)
    if count == 1:
        return first
    capacity = first.capacity and replace(
        first.capacity,
        concurrent_at_context=first.capacity.concurrent_at_context * count,
        users=first.capacity.users * count,
    )
    return replace(
        first,
        parallel=replace(first.parallel, replicas=count),
        # Their weights lie on the disk once.
        memory=memory and replace(memory, disk_bytes=first.memory.disk_bytes if first.memory else 0),
        capacity=capacity,
        services=tuple(service for plan in copies for service in plan.services),
        decisions=(Decision("copies", str(count), "asked for; each has all of the model for itself"), *first.decisions),
        findings=_findings(copies),
    )


def _together(plans: Sequence[Plan], places: Decision) -> Plan:
    """What is one value for a machine is that of the first model; services, decisions and memory are of all."""
    first = plans[0]
    return replace(
        first,
        memory=_memory(plans),
        # Models of one server have the same one.
        services=tuple({service.name: service for plan in plans for service in plan.services}.values()),
        decisions=(places, *(_prefixed(plan, decision) for plan in plans for decision in plan.decisions)),
        findings=_findings(plans),
        models=tuple(map(_alone, plans)),
    )


def apart(plan: Plan) -> tuple[Plan, ...]:
    """What a plan says of each of its models by itself; one model is the plan."""
    return tuple(_of_one(plan, one) for one in plan.models) or (plan,)


def _of_one(plan: Plan, one: PlannedModel) -> Plan:
    return replace(
        plan,
        model=one.model,
        engine=one.engine,
        parallel=one.parallel,
        context=one.context,
        memory=one.memory,
        capacity=one.capacity,
        reckoned=one.reckoned,
        services=tuple(_alone_in(plan, service, one) for service in plan.services if service.name in one.services),
        models=(),
    )


def _alone_in(plan: Plan, service: Service, one: PlannedModel) -> Service:
    """A server of several models as whoever asks for this one meets it."""
    return service.each[plan.models_of(service).index(one.model)] if service.further else service


def _findings(plans: Sequence[Plan]) -> tuple[Finding, ...]:
    return tuple(dict.fromkeys(one for plan in plans for one in plan.findings))


def _alone(plan: Plan) -> PlannedModel:
    if plan.model is None or plan.memory is None or plan.engine is None:
        raise ValueError("only a plan that fits is merged with others")
    return PlannedModel(
        model=plan.model,
        engine=plan.engine,
        precision=plan.model.precision,
        parallel=plan.parallel,
        context=plan.context,
        memory=plan.memory,
        capacity=plan.capacity,
        services=tuple(service.name for service in plan.services),
        reckoned=plan.reckoned,
    )


def _prefixed(plan: Plan, decision: Decision) -> Decision:
    return replace(decision, subject=f"{plan.model.id if plan.model else plan.profile}: {decision.subject}")


def _memory(plans: Sequence[Plan]) -> MemoryBudget | None:
    """The cache's figures are those of the first model; those of a device and of the disk are sums."""
    found = [plan.memory for plan in plans if plan.memory is not None]
    devices: dict[str, list[DeviceBudget]] = {}
    for memory in found:
        for budget in memory.per_device:
            devices.setdefault(budget.device, []).append(budget)
    budgets = tuple(_budget(each) for name, each in sorted(devices.items(), key=lambda pair: pair[0] == "host"))
    return replace(
        found[0],
        per_device=budgets,
        host_ram_bytes=sum(memory.host_ram_bytes for memory in found),
        disk_bytes=sum(memory.disk_bytes for memory in found),
    )


def _budget(budgets: Sequence[DeviceBudget]) -> DeviceBudget:
    """Components added up, so that budget less components is still what is free, to the byte.

    On an accelerator each model has a budget of its own, and these add up as well. On the host each was planned with what the ones
    before it had left: the first budget is that of all.
    """
    first = budgets[0]
    used = sum(one.budget_bytes - one.free_bytes for one in budgets)
    budget = first.budget_bytes if first.device == "host" else sum(one.budget_bytes for one in budgets)
    return replace(
        first,
        budget_bytes=budget,
        weights_bytes=sum(one.weights_bytes for one in budgets),
        kv_cache_bytes=sum(one.kv_cache_bytes for one in budgets),
        activation_bytes=sum(one.activation_bytes for one in budgets),
        overhead_bytes=sum(one.overhead_bytes for one in budgets),
        free_bytes=budget - used,
        basis="; ".join(dict.fromkeys(one.basis for one in budgets)),
        uncertain_bytes=sum(one.uncertain_bytes for one in budgets),
    )
