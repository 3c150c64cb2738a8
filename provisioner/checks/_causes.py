"""Why a service is not well, by its engine's own words: what checks that find it so say of it."""

from typing import cast

from provisioner.catalog import find
from provisioner.model.causes import Cause, cause_of
from provisioner.model.plan import ServiceObserved
from provisioner.model.plugins import Engine, View


def named(view: View, seen: ServiceObserved) -> Cause | None:
    """None where its log tells nothing that is known."""
    service = next((one for one in view.plan.services if one.name == seen.name), None)
    if service is None or not seen.log_tail:
        return None
    engine = cast(Engine, find("provisioner.engines", "ENGINE", service.engine))
    return cause_of(engine.causes(), seen.log_tail)
