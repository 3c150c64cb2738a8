"""Why a service is not well, by its engine's own words: what checks that find it so say of it."""

from provisioner.checks._engines import engine_of
from provisioner.model.causes import Cause, cause_of
from provisioner.model.plugins import View
from provisioner.model.report import ServiceObserved


def named(view: View, seen: ServiceObserved) -> Cause | None:
    """None where its log tells nothing that is known."""
    engine = engine_of(view, seen.name) if seen.log_tail else None
    return cause_of(engine.causes(), seen.log_tail) if engine else None
