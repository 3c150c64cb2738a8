"""Read back what the engines say of their memory after a start that was proved, and keep how far the plan was off."""

import os
import re
from typing import cast

from provisioner import catalog
from provisioner.errors import UserError
from provisioner.model.facts import Unknown
from provisioner.model.learned import Residual
from provisioner.model.measured import Measured
from provisioner.model.plan import Finding, Plan, Service
from provisioner.model.plugins import Engine, Place
from provisioner.model.release import Running
from provisioner.phases.observe import read_key
from provisioner.phases.survey import running
from provisioner.planning.memory.residuals import residuals
from provisioner.planning.several.merged import apart
from provisioner.world import containers, probe
from provisioner.world.store import Store

LOG_BYTES = 16 << 20
METRICS_SECONDS = 3.0
KEEPER = re.compile(r"^\S+Z keeper: .*$", re.MULTILINE)
"""The keeper's own lines: the last of them is where the last start begins."""


def learn(plan: Plan, store: Store, place: Place, before: tuple[Running, ...]) -> tuple[Finding, ...]:
    """What could not be read back or kept is told, and is no reason against a release that answers.

    What ran `before` and was left alone did not start, so nothing is learned of it again.
    """
    try:
        old = {(one.service, one.pid, one.started) for one in before}
        started = {one.service for one in running(place.state) if (one.service, one.pid, one.started) not in old}
        found = tuple(
            one
            for part in apart(plan)
            for service in part.services
            if service.name in started
            for one in _of(part, service, place)
        )
        if found:
            store.remember_residuals(found)
    except (UserError, OSError) as error:
        what = f"{plan.hostname}: what the engine says of its memory is not kept: {error}"
        return (Finding("learned", "note", what),)
    return ()


def _of(plan: Plan, service: Service, place: Place) -> tuple[Residual, ...]:
    engine = cast(Engine, catalog.find("provisioner.engines", "ENGINE", service.engine))
    if engine.read_back is None:
        return ()
    measured: Measured = engine.read_back(_last_start(service, place), _metrics(service))
    return residuals(plan, measured)


def _last_start(service: Service, place: Place) -> str:
    """What the engine wrote since it was started last; nothing where that was rotated away already."""
    if service.name in containers.names(place.state):
        return containers.whole_log(place.state, service.name)
    with open(f"{place.state}/logs/{service.name}.log", "rb") as stream:
        stream.seek(max(0, os.fstat(stream.fileno()).st_size - LOG_BYTES))
        log = stream.read().decode("utf-8", "replace")
    starts = list(KEEPER.finditer(log))
    return log[starts[-1].end() :] if starts else ""


def _metrics(service: Service) -> str:
    key = read_key(service.key_file)
    answer = key if isinstance(key, Unknown) else probe.get(service, "/metrics", key, METRICS_SECONDS)
    if isinstance(answer, Unknown) or answer.status != 200:
        return ""
    return answer.body.decode("utf-8", "replace")
