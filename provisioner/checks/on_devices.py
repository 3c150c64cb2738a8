"""An engine that chooses by itself what it puts on devices put there what was planned: it computes on processors without a word."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "on_devices"
LEEWAY = 0.1
"""Buffers that it counts otherwise than the plan does."""


def run(view: View) -> Iterator[Finding]:
    using = {service.name for service in view.plan.services if service.devices}
    planned = _planned(view)
    for seen in view.observed.services if view.observed else ():
        if seen.name not in using or seen.on_devices is None or seen.on_devices >= planned - LEEWAY:
            continue
        level = "error" if not seen.on_devices else "warning"
        told = f"{seen.on_devices:.0%} of the model is on devices, and {planned:.0%} was planned: the rest is computed on processors"
        yield Finding(
            "on-devices",
            level,
            f"{view.plan.hostname}: {seen.name}: {told}",
            fix="`provision doctor` looks at driver and container toolkit, `provision detect` says who else uses the devices",
        )


def _planned(view: View) -> float:
    """Of weights and cache, as they were divided between devices and the host."""
    budgets = view.plan.memory.per_device if view.plan.memory else ()
    parts = [(one.device, one.weights_bytes + one.kv_cache_bytes) for one in budgets]
    away = sum(part for device, part in parts if device == "host")
    return 1 - away / max(1, sum(part for _, part in parts))


CHECK = Check(name=NAME, stage="after", run=run)
