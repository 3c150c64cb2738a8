"""The processors that a service is bound to are there, and this user may run on them."""

from collections.abc import Iterator

from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "cpus_there"


def run(view: View) -> Iterator[Finding]:
    cpu = view.facts.cpu
    if isinstance(cpu, Unknown) or not cpu.usable:
        return
    for service in view.plan.services:
        missing = from_list(service.cpus or "") - from_list(cpu.usable)
        if missing:
            yield Finding(
                NAME,
                "error",
                f"{service.name} is bound to processors that are not there or not ours to use: {to_list(missing)}",
                fix=f"choose among {cpu.usable}: `--set cpus={cpu.usable}`",
            )


CHECK = Check(name=NAME, stage="before", run=run)
