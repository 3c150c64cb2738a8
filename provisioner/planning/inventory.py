"""Many machines at once: those that a plan cannot tell apart are planned once, and each gets its own names."""

from collections.abc import Iterable, Iterator, Mapping

from provisioner.catalog import Catalog
from provisioner.model.containers import Grant
from provisioner.model.facts import Accelerator, Host, HostFacts, Unknown
from provisioner.model.plan import Plan, Service
from provisioner.model.plugins import Place
from provisioner.model.record import fields, is_dataclass, replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.plan import make_plan

ITS_OWN = frozenset(("hostname", "boot_id", "uuid", "clock_unix"))
"""Fields in which machines that are alike differ; a plan copies the first and the devices' ids, and reads none of the others."""


def plan_all(spec: Spec, hosts: Iterable[HostFacts], catalog: Catalog, shelf: Shelf, place: Place) -> Iterator[Plan]:
    """The plan of each machine, in their order: the very one that it would get by itself."""
    known: dict[object, tuple[Plan, tuple[str, ...]]] = {}
    for facts in hosts:
        kind, ids = likeness(facts), _ids(facts)
        if kind not in known:
            known[kind] = make_plan(spec, facts, catalog, shelf, place), ids
        plan, named = known[kind]
        yield _renamed(plan, facts, dict(zip(named, ids, strict=True)))


def likeness(facts: HostFacts) -> object:
    """Equal for machines that get the same plan but for names: all that is known, exactly, without what is each one's own."""
    ids = _ids(facts)
    telling = () if len(set(ids)) == len(ids) and all(ids) else ids
    return (_frozen(facts), telling)


def _frozen(value: object) -> object:
    """What is equal where the value is, but for names, and can be the key of a mapping."""
    if is_dataclass(value):
        return (
            type(value),
            *(_frozen(getattr(value, each.name)) for each in fields(value) if each.name not in ITS_OWN),
        )
    if isinstance(value, Mapping):
        return tuple((key, _frozen(each)) for key, each in value.items())
    return tuple(map(_frozen, value)) if isinstance(value, tuple) else value


def _cards(facts: HostFacts) -> Iterator[Accelerator]:
    for found in facts.accelerators.values():
        yield from () if isinstance(found, Unknown) else found


def _ids(facts: HostFacts) -> tuple[str, ...]:
    return tuple(card.uuid for card in _cards(facts))


def _renamed(plan: Plan, facts: HostFacts, ids: Mapping[str, str]) -> Plan:
    hostname = facts.host.hostname if isinstance(facts.host, Host) else plan.hostname
    if all(old == new for old, new in ids.items()):
        return plan if hostname == plan.hostname else replace(plan, hostname=hostname)
    return replace(plan, hostname=hostname, services=tuple(_on(service, ids) for service in plan.services))


def _on(service: Service, ids: Mapping[str, str]) -> Service:
    """The same service on this machine's devices; whoever names them in the environment parts them with commas."""
    return replace(
        service,
        env=_variables(service.env, ids),
        devices=tuple(ids.get(device, device) for device in service.devices),
        grant=_granted(service.grant, ids) if service.grant else None,
    )


def _variables(env: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    return {name: ",".join(ids.get(word, word) for word in value.split(",")) for name, value in env.items()}


def _granted(grant: Grant, ids: Mapping[str, str]) -> Grant:
    """CDI puts the device's kind before its name: `nvidia.com/gpu=GPU-…`."""
    named = (name.partition("=") for name in grant.cdi)
    return replace(
        grant,
        cdi=tuple(f"{kind}{sign}{ids.get(name, name)}" for kind, sign, name in named),
        runtime_ids=tuple(ids.get(one, one) for one in grant.runtime_ids),
        env=_variables(grant.env, ids),
    )
