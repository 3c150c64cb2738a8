"""Holds what an engine said of its memory against the plan, part by part, and lets the next plan of its kind use it."""

import re

from provisioner.model.learned import CORRECTED, Kind, Learned, Reading, Reckoned, Residual
from provisioner.model.load import Amount
from provisioner.model.measured import DeviceMeasured, Measured
from provisioner.model.plan import Decision, Plan
from provisioner.model.record import replace
from provisioner.planning.asked.amounts import size

FIELDS = {
    "weights": "weights_bytes",
    "cache": "kv_bytes",
    "activation": "activation_bytes",
    "graphs": "graphs_bytes",
    "runtime": "runtime_bytes",
}
HOST = "host"
ON_HOST = re.compile(r"CPU|.*_Host$")
"""llama.cpp's buffers in the host's memory: `CPU`, `CPU_Mapped`, `CPU_REPACK`, and pinned ones such as `CUDA_Host`."""
MOST = 8
"""A figure that is so many times the planned one, or such a part of it, is of something else: a log is foreign text."""


def residuals(plan: Plan, measured: Measured) -> tuple[Residual, ...]:
    """Of every part that the plan reckoned with and the engine tells."""
    found = ((one, _told(plan, one, measured)) for one in plan.reckoned if one.planned_bytes > 0)
    return tuple(
        Residual(one.kind, one.planned_bytes, told)
        for one, told in found
        if told is not None and one.planned_bytes <= told * MOST <= one.planned_bytes * MOST**2
    )


def _told(plan: Plan, one: Reckoned, measured: Measured) -> int | None:
    """An engine that takes what it needs has buffers, which add up; of one whose ranks are alike, the fullest counts."""
    field = FIELDS[one.kind.component]
    among = _buffers(plan, one.device, measured.devices) if one.device else measured.devices
    told: list[int] = [value for value in (getattr(device, field) for device in among) if value is not None]
    if not told:
        return None
    return sum(told) if one.device else max(told)


def _buffers(plan: Plan, device: str, all_of_them: tuple[DeviceMeasured, ...]) -> tuple[DeviceMeasured, ...]:
    """Those of one device of the plan: the engine numbers its devices in the order in which it was given them."""
    if device == HOST:
        return tuple(one for one in all_of_them if ON_HOST.match(one.device))
    planned = list(dict.fromkeys(one.device for one in plan.reckoned if one.device != HOST))
    there = sorted({one.device for one in all_of_them if not ON_HOST.match(one.device)}, key=_number)
    if len(there) != len(planned):
        return ()
    name = there[planned.index(device)]
    return tuple(one for one in all_of_them if one.device == name)


def _number(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else 0, name


def reckon(learned: Learned, device: str, kind: Kind, planned: int) -> Reckoned:
    """What to plan with. A start of the very same load is believed, in both directions.

    Other loads of the kind only teach to plan for more, by the median of their ratios: that a small model needs less than its
    bound says nothing about a large one.
    """
    alike = [one for one in learned.residuals if one.kind == kind] if kind.component in CORRECTED else []
    same = [one.measured_bytes for one in alike if one.planned_bytes == planned]
    if same:
        return Reckoned(device, kind, planned, max(same), len(same))
    ratio = _median([one.measured_bytes / one.planned_bytes for one in alike]) if alike else 1.0
    if ratio <= 1.0:
        return Reckoned(device, kind, planned, planned)
    return Reckoned(device, kind, planned, round(planned * ratio), len(alike))


def _median(values: list[float]) -> float:
    """Of an even count the larger of the two in the middle, which is the safer one."""
    return sorted(values)[len(values) // 2]


def told(one: Reckoned, *, elsewhere: bool = False) -> str:
    """What a budget says of a correction; empty where there was none."""
    if not one.starts or not one.planned_bytes:
        return ""
    more = (one.bytes - one.planned_bytes) / one.planned_bytes * 100
    starts = "one start" if one.starts == 1 else f"{one.starts} starts"
    where = " on the machine that plans" if elsewhere else ""
    return f"; {one.kind.component} corrected by what {starts}{where} measured: {more:+.0f} %"


def readings(parts: tuple[Reckoned, ...], learned: Learned) -> tuple[Reading, ...]:
    """Each part of a plan with what its own starts measured, the last of which counts."""
    return tuple(_reading(one, learned) for one in parts)


def _reading(part: Reckoned, learned: Learned) -> Reading:
    found = [
        one.measured_bytes
        for one in learned.residuals
        if one.kind == part.kind and one.planned_bytes == part.planned_bytes
    ]
    return Reading(part, found[-1] if found else None, len(found))


def decisions_of_starts(parts: tuple[Reckoned, ...], *, elsewhere: bool = False) -> tuple[Decision, ...]:
    """Planned against measured, for every part that starts were measured of."""
    return tuple(
        Decision(
            f"{one.kind.component} on {one.device or 'each device'}",
            size(one.bytes),
            f"{size(one.planned_bytes)} by the arithmetic{told(one, elsewhere=elsewhere).replace('; ' + one.kind.component, ',', 1)}",
        )
        for one in parts
        if one.starts
    )


def shifted(amount: Amount, one: Reckoned, *, elsewhere: bool = False) -> Amount:
    """An estimate and its range, moved to what was measured."""
    by, basis = one.bytes - one.planned_bytes, amount.basis + told(one, elsewhere=elsewhere)
    if not by:
        return replace(amount, basis=basis)
    return Amount(one.bytes, max(0, amount.low + by), max(0, amount.high + by), basis)
