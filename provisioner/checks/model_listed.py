"""The engine lists its model under the name that clients will use."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

TAG = ":latest"
"""Ollama lists names with it, and takes them without."""


def run(view: View) -> Iterator[Finding]:
    wanted = {service.name: service.model_names for service in view.plan.services}
    for seen in view.observed.services if view.observed else ():
        missing = _missing(wanted.get(seen.name, ("",)), seen.models)
        if isinstance(seen.models, Unknown) and not seen.goes_on:
            continue
        if isinstance(seen.models, Unknown):
            why = f"its models could not be listed: {seen.models.reason}"
        elif missing:
            why = f"it lists {', '.join(seen.models) or 'no model'} and not {', '.join(missing)}"
        else:
            continue
        yield Finding(
            "model-listed", "error", f"{view.plan.hostname}: {seen.name}: {why}", fix=f"provision logs {seen.name}"
        )


def _missing(names: tuple[str, ...], listed: tuple[str, ...] | Unknown) -> list[str]:
    seen = () if isinstance(listed, Unknown) else listed
    return [name for name in names if not {name, f"{name}{TAG}"} & set(seen)]


CHECK = Check(name="model-listed", stage="after", run=run)
