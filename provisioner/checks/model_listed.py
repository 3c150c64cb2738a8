"""The engine lists its model under the name that clients will use."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

TAG = ":latest"
"""Ollama lists names with it, and takes them without."""


def run(view: View) -> Iterator[Finding]:
    wanted = {service.name: service.model_name for service in view.plan.services}
    for seen in view.observed.services if view.observed else ():
        name = wanted.get(seen.name, "")
        if isinstance(seen.models, Unknown) and not seen.goes_on:
            continue
        if isinstance(seen.models, Unknown):
            why = f"its models could not be listed: {seen.models.reason}"
        elif not {name, f"{name}{TAG}"} & set(seen.models):
            why = f"it lists {', '.join(seen.models) or 'no model'} and not {name}"
        else:
            continue
        yield Finding(
            "model-listed", "error", f"{view.plan.hostname}: {seen.name}: {why}", fix=f"provision logs {seen.name}"
        )


CHECK = Check(name="model-listed", stage="after", run=run)
