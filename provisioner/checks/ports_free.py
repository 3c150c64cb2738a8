"""Nobody else listens on the ports of the plan, and no two services share one."""

from collections import Counter
from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "ports_free"
FIX = "end the other program, or `--set port=8001`"


def run(view: View) -> Iterator[Finding]:
    uses = Counter((service.port, service.node) for service in view.plan.services)
    for (port, _), count in sorted(uses.items()):
        if count > 1:
            yield Finding(NAME, "error", f"{count} services want port {port}", fix="give each its own port")
        if port in view.ports_taken:
            yield Finding(NAME, "error", f"port {port} is taken by {view.ports_taken[port]}", fix=FIX)


CHECK = Check(name=NAME, stage="before", run=run)
