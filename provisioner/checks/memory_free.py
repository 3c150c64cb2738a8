"""What the plan needs on the host is free, and the limit that the service gets lets it have that."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding, Plan, Service
from provisioner.model.plugins import Check, View

NAME = "memory_free"


def run(view: View) -> Iterator[Finding]:
    memory = view.plan.memory
    if memory is None or view.plan.verdict != "fits":
        return
    if not isinstance(view.facts.memory, Unknown) and view.facts.memory.available_bytes < memory.host_ram_bytes:
        yield Finding(
            NAME,
            "error",
            f"{_mib(memory.host_ram_bytes)} of host memory are needed, {_mib(view.facts.memory.available_bytes)} are free",
            fix="end what holds the memory: `ps -eo rss,pid,args --sort=-rss | head`",
        )
    for service in view.plan.services:
        limit, needed = service.memory_max_bytes, _needed(view.plan, service)
        if limit is not None and limit < needed:
            yield Finding(
                NAME,
                "error",
                f"{service.name} would be held to {_mib(limit)}, and needs {_mib(needed)}",
                fix=f"`--set memory_max_bytes={needed}` or more, or leave it out",
            )


def _needed(plan: Plan, service: Service) -> int:
    """Of its host: what is said for the model is shared by its copies there."""
    model = next((one for one in plan.models if service.name in one.services), None)
    memory = model.memory if model else plan.memory
    names = model.services if model else tuple(one.name for one in plan.services)
    copies = sum(1 for one in plan.services if one.name in names and one.node == service.node)
    return -(-memory.host_ram_bytes // copies) if memory else 0


def _mib(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MiB"


CHECK = Check(name=NAME, stage="before", run=run)
