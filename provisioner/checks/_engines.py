"""What checks have to know of the engine behind a service."""

from collections.abc import Iterator
from typing import cast

from provisioner.catalog import find
from provisioner.model.plugins import Engine, View
from provisioner.model.report import ServiceObserved


def engine_of(view: View, name: str) -> Engine | None:
    """None for a service that is not in the plan."""
    service = next((one for one in view.plan.services if one.name == name), None)
    return None if service is None else cast(Engine, find("provisioner.engines", "ENGINE", service.engine))


def keyed(view: View) -> Iterator[ServiceObserved]:
    """The services that ask for keys: by themselves, or because they are reached through the gateway."""
    held = {port.leads_to for one in view.plan.beside for port in one.published}
    for seen in view.observed.services if view.observed else ():
        engine = engine_of(view, seen.name)
        if engine is None or not engine.keyless or seen.name in held:
            yield seen
