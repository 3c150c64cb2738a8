"""Services keep the name and the port that they have: who adds a model, or takes one away, leaves all others running."""

from collections.abc import Callable, Iterator, Sequence

from provisioner.model.plan import Plan, Service
from provisioner.model.record import replace

REACH = 100
"""How far above the first port one that is in force is kept: what is farther off belongs to another first port."""

Kept = tuple[Service, ...]


def in_force_of(plans: Sequence[Plan], in_force: Plan | None, first: int) -> tuple[Kept, ...]:
    """For each plan the services in force that its own go on as; none where there are not as many, one port after the other."""
    there: dict[tuple[str, str], list[Service]] = {}
    for service in in_force.services if in_force else ():
        there.setdefault((service.model_name, service.engine), []).append(service)
    return tuple(_taken(plan, there, first) for plan in plans)


def left_alone(plan: Plan, in_force: Plan, first: int, on_port: Callable[[int], Plan]) -> Plan:
    """The one model that stays of several: with the names that its services have, and on their ports, which nobody asked to change."""
    (kept,) = in_force_of((plan,), in_force, first)
    if not kept or kept[0].name == plan.services[0].name:
        return plan
    if kept[0].port != plan.services[0].port:
        plan = on_port(kept[0].port)
    services = (replace(one, name=other.name) for one, other in zip(plan.services, kept, strict=True))
    return replace(plan, services=tuple(services))


def _taken(plan: Plan, there: dict[tuple[str, str], list[Service]], first: int) -> Kept:
    own = there.get((plan.services[0].model_name, plan.services[0].engine), [])
    count = len(plan.services)
    found = tuple(own[:count])
    ports = [one.port for one in found]
    if len(found) < count or ports != list(range(ports[0], ports[0] + count)) or not _near(ports, first):
        return ()
    del own[:count]
    return found


def _near(ports: Sequence[int], first: int) -> bool:
    return first <= ports[0] and ports[-1] < first + REACH


def first_ports(plans: Sequence[Plan], kept: Sequence[Kept], first: int) -> Iterator[int]:
    """Where the ports of each plan begin: as they are in force, or the lowest that are nobody's."""
    taken = {service.port for services in kept for service in services}
    for plan, services in zip(plans, kept, strict=True):
        count = len(plan.services)
        port = services[0].port if services else _free(count, taken, first)
        taken.update(range(port, port + count))
        yield port


def _free(count: int, taken: set[int], first: int) -> int:
    port = first
    while taken.intersection(range(port, port + count)):
        port += 1
    return port
