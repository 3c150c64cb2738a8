"""Models of an engine with one server for all: the services that each was planned with become one."""

from collections.abc import Sequence

from provisioner.errors import BadInput
from provisioner.model.plan import Decision, Loaded, Plan, Service
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.planning.asked.settings import engine_named

VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
"""Variables that list devices."""


def in_one_server(plans: Sequence[Plan]) -> tuple[Plan, ...]:
    """The same plans, in which such an engine has one service: that of its first model, which loads the others as well."""
    shared = [one for one in plans if one.engine and engine_named(one.engine).one_server]
    services = [service for one in shared for service in one.services]
    if len(services) < 2:
        return tuple(plans)
    engine = engine_named(services[0].engine)
    _insist_on_one_copy(services, engine)
    joined = _joined(services, engine)
    return tuple(_with(one, joined, engine) if one in shared else one for one in plans)


def _insist_on_one_copy(services: Sequence[Service], engine: Engine) -> None:
    """`BadInput` where a model is to be there twice: a server knows each by its name."""
    names = [service.model_name for service in services]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(
            f"{engine.title} has one server, and `{twice}` would be in it more than once",
            fix="leave `replicas` out, or take another `--engine`",
        )


def _joined(services: Sequence[Service], engine: Engine) -> Service:
    first, others = services[0], services[1:]
    limits = [one.memory_max_bytes for one in services if one.memory_max_bytes is not None]
    devices = tuple(dict.fromkeys(device for one in services for device in one.devices))
    whole = replace(
        first,
        further=tuple(Loaded(one.model_name, one.model_path, one.context, one.slots, one.options) for one in others),
        devices=devices,
        memory_max_bytes=sum(limits) if len(limits) == len(services) else None,
        ready_seconds=sum(one.ready_seconds for one in services),
        first_token_seconds=max(one.first_token_seconds for one in services),
        env=_environment(services),
    )
    return replace(whole, argv=(*engine.program, *engine.command(whole)))


def _environment(services: Sequence[Service]) -> dict[str, str]:
    """Every device that any of them may use; one that uses none hides all, which is no device."""
    found = dict(services[0].env)
    for name in VISIBLE:
        lists = [one.env[name].split(",") for one in services if name in one.env]
        seen = dict.fromkeys(word for words in lists for word in words if word != "-1")
        if lists:
            found[name] = ",".join(seen) or "-1"
    return found


def _with(plan: Plan, joined: Service, engine: Engine) -> Plan:
    host = f"[{joined.host}]" if ":" in joined.host else joined.host
    because = f"loopback, and the same for all models: {engine.title} has one server"
    there = Decision("address", f"http://{host}:{joined.port}", because)
    decisions = tuple(there if one.subject == "address" else one for one in plan.decisions)
    return replace(plan, services=(joined,), decisions=decisions)
