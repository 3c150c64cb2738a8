"""From streams as they came to how fast a release is, and from two of these to whether the later one is slower."""

from provisioner.model.baseline import Figure, Speed
from provisioner.model.plan import Finding
from provisioner.model.report import Completion

SHORTEST_SPELL = 0.02
"""Seconds from the first token to the last below which they came in one piece."""
FELT_SECONDS = 0.05
"""A first token that comes later by less is nothing that anybody feels, whatever share of a short wait it is."""
TOLERANCE = 0.1
"""Of plans that no profile made."""


def rate(completion: Completion) -> float:
    """Tokens a second of one answer, from its first token on; of one that came in one piece, from the question on."""
    arrivals = completion.arrivals
    spell = arrivals[-1] - arrivals[0]
    if len(arrivals) > 1 and spell >= SHORTEST_SPELL:
        return (completion.tokens - 1) / spell
    return completion.tokens / max(arrivals[-1], 1e-6)


def total_rate(completions: tuple[Completion, ...]) -> float:
    """Tokens a second of answers to questions that were asked at the same time."""
    return sum(one.tokens for one in completions) / max(*(one.arrivals[-1] for one in completions), 1e-6)


def figure(values: tuple[float, ...], *, more_is_better: bool = True) -> Figure:
    ordered = sorted(values)
    best = ordered[-1 if more_is_better else 0]
    return Figure(_at(ordered, 0.5), _at(ordered, 0.25), _at(ordered, 0.75), best, len(ordered))


def _at(ordered: list[float], share: float) -> float:
    """The value at a share of the way, between neighbours in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def speed(alone: tuple[Completion, ...], waves: tuple[tuple[Completion, ...], ...], seconds: float) -> Speed:
    """`alone` were asked one after another, those of a wave at once."""
    firsts = tuple(one.arrivals[0] for one in alone)
    return Speed(
        tokens_per_second=figure(tuple(rate(one) for one in alone)),
        total_tokens_per_second=figure(tuple(total_rate(wave) for wave in waves)),
        first_token_seconds=figure(firsts, more_is_better=False),
        first_token_p95_seconds=_at(sorted(firsts), 0.95),
        concurrency=len(waves[0]),
        seconds=seconds,
    )


def slower(before: Speed, after: Speed, tolerance: float) -> tuple[Finding, ...]:
    """What became worse by more than is tolerated: in the middle and at its best, and not by how measurements scatter.

    All requests together are compared only where as many were sent at once.
    """
    rates = [("tokens/s of one request", before.tokens_per_second, after.tokens_per_second)]
    if before.concurrency == after.concurrency > 1:
        together = f"tokens/s of {after.concurrency} requests at once"
        rates.append((together, before.total_tokens_per_second, after.total_tokens_per_second))
    found = [_rate_finding(what, old, new, tolerance) for what, old, new in rates if _fell(old, new, tolerance)]
    old, new = before.first_token_seconds, after.first_token_seconds
    if _rose(old, new, tolerance):
        told = f"{1000 * new.median:,.0f} ms to the first token, {1000 * old.median:,.0f} ms before"
        found.append(_finding(told, new.median / old.median - 1, tolerance))
    return tuple(found)


def _fell(old: Figure, new: Figure, tolerance: float) -> bool:
    share = 1 - tolerance
    return new.median < old.median * share and new.best < old.best * share and new.high < old.median


def _rose(old: Figure, new: Figure, tolerance: float) -> bool:
    share = 1 + tolerance
    later = new.median > old.median * share and new.best > old.best * share and new.low > old.median
    return later and new.best - old.best >= FELT_SECONDS


def _rate_finding(what: str, old: Figure, new: Figure, tolerance: float) -> Finding:
    return _finding(f"{new.median:,.1f} {what}, {old.median:,.1f} before", new.median / old.median - 1, tolerance)


def _finding(told: str, change: float, tolerance: float) -> Finding:
    message = f"{told} ({100 * change:+,.0f} %, {100 * tolerance:.0f} % is tolerated)"
    fix = "`--accept-slower` on the same command keeps it all the same, `--tolerance PERCENT` allows for more"
    return Finding("slower", "error", message, fix=fix)
