"""See that a release answers: wait until its engines are ready, ask them, and hold the answers against the rules."""

import time

from provisioner.model.facts import HostFacts
from provisioner.model.plan import Finding, Observed, Plan, Service
from provisioner.model.plugins import Place, View
from provisioner.model.progress import Progress
from provisioner.phases.judge import judge
from provisioner.phases.observe import observe
from provisioner.phases.survey import running
from provisioner.world.probe import healthy
from provisioner.world.processes import is_frozen

POLL_SECONDS = 0.02


def prove(plan: Plan, facts: HostFacts, place: Place, progress: Progress) -> tuple[Observed, tuple[Finding, ...]]:
    """What the services answered, and what the checks say of it."""
    for service in plan.services:
        progress.step(f"wait until {service.name} is ready (at most {service.ready_seconds} s)")
        progress.done(_await_ready(service, place))
    progress.step("ask the engine for an answer")
    observed = observe(plan.services, running(place.state))
    findings = judge("after", View(plan=plan, facts=facts, observed=observed, ports_taken={}, state=place.state))
    errors = sum(finding.level == "error" for finding in findings)
    progress.done("done" if not errors else f"failed: {errors} of the checks")
    return observed, findings


def _await_ready(service: Service, place: Place) -> str:
    """Patient while the engine loads, at an end as soon as it has died."""
    began = time.monotonic()
    seen = False
    while time.monotonic() - began < service.ready_seconds:
        if healthy(service):
            return f"ready after {time.monotonic() - began:.1f} s"
        keepers = [one.pid for one in running(place.state) if one.service == service.name]
        alive = bool(keepers)
        if seen and not alive:
            return "failed: it ended"
        if any(is_frozen(keeper) for keeper in keepers):
            return "failed: its process is stopped"
        seen = seen or alive
        if not alive and time.monotonic() - began > 3.0:
            return "failed: it did not start"
        time.sleep(POLL_SECONDS)
    return f"failed: not ready within {service.ready_seconds} s"
