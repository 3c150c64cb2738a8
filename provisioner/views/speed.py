"""How fast it is: as it was planned and as it was measured, beside each other."""

from provisioner.model.baseline import Baseline, Figure
from provisioner.model.outcome import Benched
from provisioner.model.plan import Plan
from provisioner.model.upgrading import Difference, Speeds, Upgraded
from provisioner.views.layout import Look, clipped, count, duration, harmless, table, wrapped
from provisioner.views.outcome import outcome_view
from provisioner.views.plan import joined

LONGEST_VALUE = 80
"""Of a value that differs: what is longer is cut, and stands whole in the JSON."""


def bench_view(benched: Benched, look: Look) -> str:
    shown = [_bench_view(one, look, several=bool(benched.others)) for one in (benched, *benched.others)]
    return "\n\n".join(shown)


def _bench_view(benched: Benched, look: Look, *, several: bool) -> str:
    """One model, by the name that requests have for it where there are others."""
    plan, baseline = benched.plan, benched.baseline
    what = f"{plan.model.title} in {plan.model.precision}" if plan.model else baseline.model
    what = f"{plan.services[0].model_name}, {what}" if several else what
    sign = look.paint(look.sign("✓", "ok"), "green")
    took = duration(baseline.speed.seconds)
    head = f"{sign} release {baseline.release[:12]}: {harmless(what)}, measured in {took}"
    return joined([wrapped(head, look.width, "", "  "), speed_lines(plan, baseline, look)])


def speed_lines(plan: Plan, baseline: Baseline, look: Look) -> list[str]:
    """Measured and planned beside each other; what lies around a median is half of what was seen."""
    speed, capacity = baseline.speed, plan.capacity
    alone = capacity.tokens_per_second if capacity else None
    at_once = capacity.total_tokens_per_second if capacity else None
    first = capacity.first_token_seconds if capacity else None
    rows = [
        ("speed", "planned", "measured", "half of them"),
        ("tokens/s, one request", _rate(alone), _rate(speed.tokens_per_second.median), _half(speed.tokens_per_second)),
        (
            f"tokens/s, {count(speed.concurrency, 'request')} at once",
            _rate(at_once),
            _rate(speed.total_tokens_per_second.median),
            _half(speed.total_tokens_per_second),
        ),
        ("first token", duration(first) if first else "-", duration(speed.first_token_seconds.median), _late(baseline)),
    ]
    lines = table(rows, look)
    return [look.paint(lines[0], "dim"), *lines[1:]]


def _rate(value: float | None) -> str:
    return f"{value:,.1f}" if value else "-"


def _half(one: Figure) -> str:
    return f"{one.low:,.1f} to {one.high:,.1f} ({count(one.count, 'time')})"


def _late(baseline: Baseline) -> str:
    return f"one in twenty after {duration(baseline.speed.first_token_p95_seconds)} or later"


def upgrade_view(upgraded: Upgraded, look: Look, seconds: float) -> str:
    """What was changed, how fast it is now and was before, and then what `up` says."""
    return joined(
        [
            _changes(upgraded, look),
            *(_speeds(one, look, several=len(upgraded.speeds) > 1) for one in upgraded.speeds),
            outcome_view(upgraded.outcome, look, seconds).splitlines(),
        ]
    )


def _changes(upgraded: Upgraded, look: Look) -> list[str]:
    if not upgraded.differences:
        return wrapped(f"Nothing differs from the release in force, {upgraded.previous[:12]}", look.width)
    head = f"In place of release {upgraded.previous[:12]}:"
    return [head, *(line for one in upgraded.differences for line in _difference(one, look))]


def _difference(one: Difference, look: Look) -> list[str]:
    before, after = (clipped(harmless(value), LONGEST_VALUE) for value in (one.before, one.after))
    return wrapped(f"{harmless(one.what)}: {before or 'nothing'} → {after or 'nothing'}", look.width, "  ", "    ")


def _speeds(one: Speeds, look: Look, *, several: bool) -> list[str]:
    after, before = one.after.speed, one.before.speed if one.before else None
    rows = [
        (f"speed of {harmless(one.model)}" if several else "speed", "before", "now"),
        (
            "tokens/s, one request",
            _median(before.tokens_per_second if before else None),
            _median(after.tokens_per_second),
        ),
        (
            "tokens/s, all at once",
            _median(before.total_tokens_per_second if before else None),
            _median(after.total_tokens_per_second),
        ),
        (
            "first token",
            duration(before.first_token_seconds.median) if before else "-",
            duration(after.first_token_seconds.median),
        ),
    ]
    lines = table(rows, look)
    return [look.paint(lines[0], "dim"), *lines[1:]]


def _median(one: Figure | None) -> str:
    return _rate(one.median if one else None)
