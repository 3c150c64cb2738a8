"""What stands beside the engines on targets that have room for it: chat page, gateway, monitoring."""

from collections.abc import Iterator
from typing import cast

from provisioner.catalog import find, scan
from provisioner.model.containers import Container
from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.plan import Finding, Plan, Service
from provisioner.model.plugins import Companion, Engine, Place, Stack
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.settings import Wish, wish_of
from provisioner.planning.sources.images import from_registry

CONTAINERS = "docker"
GATEWAY = "gateway"


def companions() -> dict[str, Companion]:
    return cast(dict[str, Companion], scan("provisioner.services", "SERVICE"))


MADE = ("docker", "br-", "veth", "cni", "podman", "virbr")
"""How interfaces are called that container engines and hypervisors make for their own: nobody else comes in by them."""


def with_companions(plan: Plan, spec: Spec, place: Place, facts: HostFacts, *, rendered: bool = True) -> Plan:
    """The plan with all that is wanted beside its engines; the plan itself where the target starts engines alone.

    `rendered`: with the files that they read, which cost more than all the rest of planning.
    """
    if plan.target != CONTAINERS or not plan.services:
        return plan
    wish = wish_of(spec)
    wanted = {name: one for name, one in companions().items() if _is_wanted(one, wish)}
    stack = Stack(
        engines=plan.services,
        place=place,
        host=wish.gateway_host,
        hostname=plan.hostname,
        addresses=tuple(addresses(facts)),
        port=wish.gateway_port,
        vendors=_vendors(plan),
        images={key.removesuffix(".image"): name for key, name in wish.beside.items() if key.endswith(".image")},
        settings=wish.beside,
        wanted=frozenset(wanted),
    )
    return replace(
        plan,
        services=tuple(replace(one, image=from_registry(one.image, wish.registry)) for one in plan.services),
        beside=tuple(_named(each, wish) for one in wanted.values() for each in one.containers(stack)),
        files=tuple(file for one in wanted.values() for file in one.files(stack)) if rendered else (),
        makes=tuple(made for one in wanted.values() for made in one.makes(stack)),
        questions=tuple(question for one in wanted.values() for question in one.questions(stack)),
        findings=(*plan.findings, *_open(plan, stack)),
    )


def addresses(facts: HostFacts) -> Iterator[str]:
    """By which others reach the machine."""
    for one in () if isinstance(facts.network, Unknown) else facts.network:
        if one.address and one.up and one.kind != "loopback" and not one.name.startswith(MADE):
            yield one.address


def _engine(service: Service) -> Engine:
    return cast(Engine, find("provisioner.engines", "ENGINE", service.engine))


def _open(plan: Plan, stack: Stack) -> Iterator[Finding]:
    """An engine without keys, and no gateway before it."""
    for one in plan.services if GATEWAY not in stack.wanted else ():
        if _engine(one).keyless:
            who = f"{one.name}: {_engine(one).title} knows no keys: every user of this machine is answered at {one.host}:{one.port}"
            yield Finding("keyless", "warning", f"{plan.hostname}: {who}", fix="leave the gateway in: it asks for one")


def _vendors(plan: Plan) -> tuple[str, ...]:
    """The makers of the devices that are used."""
    devices = (budget.device for budget in (plan.memory.per_device if plan.memory else ()))
    return tuple(dict.fromkeys(device.partition(":")[0] for device in devices if device != "host"))


def _is_wanted(one: Companion, wish: Wish) -> bool:
    """All of them, but for monitoring where none is wanted, and for those that were left out by name."""
    return wish.beside.get(one.name, "yes") == "yes" and (wish.monitoring or not one.monitoring)


def _named(one: Container, wish: Wish) -> Container:
    """With the image that the operator named for it, or its own from the registry that was named."""
    image = wish.beside.get(f"{one.name}.image") or from_registry(one.image, wish.registry) or one.image
    return replace(one, image=image)
