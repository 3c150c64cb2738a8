"""Every service says that it is well."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View


def run(view: View) -> Iterator[Finding]:
    from provisioner.checks._causes import named  # A plan asks none of this.

    for seen in view.observed.services if view.observed else ():
        if seen.health == 200 or (isinstance(seen.health, Unknown) and not seen.goes_on):
            continue
        why = seen.health.reason if isinstance(seen.health, Unknown) else f"it answers with status {seen.health}"
        cause = named(view, seen)
        told = f": {cause.says} ({cause.id})" if cause else ""
        yield Finding(
            "health",
            "error",
            f"{view.plan.hostname}: {seen.name} is not well: {why}{told}",
            fix=cause.fix if cause else f"provision logs {seen.name}",
        )


CHECK = Check(name="health", stage="after", run=run)
