"""An engine that is there and does not get on is wedged, however well it says it is."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.report import ServiceObserved

STOPPED = ("T", "t")


def run(view: View) -> Iterator[Finding]:
    for seen in view.observed.services if view.observed else ():
        if seen.process_state in STOPPED:
            yield _finding(
                view, seen, f"its process {seen.pid} is stopped", f"kill -CONT {seen.pid}   (or provision up)"
            )
        elif seen.health == 200 and _silent(seen):
            yield _finding(view, seen, "it says that it is well, and no token came in time", "provision up")


def _silent(seen: ServiceObserved) -> bool:
    """The question was taken and nothing came back; a refusal would have been an answer."""
    if isinstance(seen.completion, Unknown):
        return "no answer within" in seen.completion.reason
    return seen.completion.status == 200 and not seen.completion.arrivals


def _finding(view: View, seen: ServiceObserved, why: str, fix: str) -> Finding:
    return Finding("not-wedged", "error", f"{view.plan.hostname}: {seen.name} is wedged: {why}", fix=fix)


CHECK = Check(name="not-wedged", stage="after", run=run)
