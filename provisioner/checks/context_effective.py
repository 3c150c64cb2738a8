"""A request gets the context that was promised; an engine that could not have it all may have taken less."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View


def run(view: View) -> Iterator[Finding]:
    from provisioner.checks._engines import engine_of  # A plan asks none of this.

    promised = {service.name: service.context for service in view.plan.services}
    for seen in view.observed.services if view.observed else ():
        wanted = promised.get(seen.name, 0)
        engine = engine_of(view, seen.name)
        untold = engine is not None and not engine.context_path
        if isinstance(seen.context, Unknown) and (untold or not seen.goes_on):
            continue
        if isinstance(seen.context, Unknown):
            why = f"its context could not be asked: {seen.context.reason}"
        elif seen.context < wanted:
            why = f"a request gets {seen.context} tokens of context, and {wanted} were promised"
        else:
            continue
        yield Finding(
            "context-effective",
            "error",
            f"{view.plan.hostname}: {seen.name}: {why}",
            fix="provision up --context N   (a smaller one), or provision logs to see what the engine says",
        )


CHECK = Check(name="context-effective", stage="after", run=run)
