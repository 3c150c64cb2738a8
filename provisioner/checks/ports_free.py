"""Nobody else listens on the ports of the plan, and no two of its parts want the same."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "ports_free"
TAKEN = "end the other program, or `--set port=8001`"
PUBLISHED = (
    "end the other program, or another port: `--listen 127.0.0.1:8444` for the gateway, `--set prometheus.port=9091`"
)


def run(view: View) -> Iterator[Finding]:
    wanted: dict[tuple[int, int], list[str]] = {}
    for name, port, node in _ports(view):
        wanted.setdefault((port, node), []).append(name)
    for (port, _), names in sorted(wanted.items()):
        fix = TAKEN if any(one.port == port for one in view.plan.services) else PUBLISHED
        if len(names) > 1:
            told = f"{len(names)} services want port {port}: {', '.join(names)}"
            yield Finding(NAME, "error", told, fix="give each its own port")
        if port in view.ports_taken:
            yield Finding(NAME, "error", f"port {port} is taken by {view.ports_taken[port]}", fix=fix)


def _ports(view: View) -> Iterator[tuple[str, int, int]]:
    """Of engines, and of what stands beside them; a port that leads to an engine is the engine's."""
    yield from ((one.name, one.port, one.node) for one in view.plan.services)
    yield from (
        (one.name, port.port, one.node) for one in view.plan.beside for port in one.published if not port.leads_to
    )


CHECK = Check(name=NAME, stage="before", run=run)
