"""Changes that were planned, each with what came of it: what somebody would take comes first, and the others say how slow they are."""

from collections.abc import Iterable

from provisioner.model.plan import Change
from provisioner.model.record import dataclass, replace
from provisioner.planning.tries.attempt import Attempt

TOY = "demo"
"""The profile that speaks gibberish, and proves that all else works."""


@dataclass(frozen=True, slots=True)
class Offer:
    change: Change
    found: Attempt

    @property
    def last_resort(self) -> bool:
        """Answers that nobody would wait for, or that say nothing."""
        return self.found.slow or self.found.profile.name == TOY

    @property
    def rate(self) -> float:
        return self.found.speed.tokens_per_second if self.found.speed else 0.0


def offer(
    found: Attempt, change: str, effect: str, flags: tuple[str, ...], what_if: str = "", without: tuple[str, ...] = ()
) -> Offer:
    """With the speed in its effect where it is too slow and the effect does not say it."""
    rate = found.speed.tokens_per_second if found.speed else None
    told = f"; {pace(found)}" if found.slow and "tokens/s" not in effect else ""
    return Offer(Change(change, f"{effect}{told}", flags, what_if, without, rate), found)


def pace(found: Attempt) -> str:
    return f"about {found.speed.tokens_per_second:.2g} tokens/s" if found.speed else "at a speed that is not known"


def in_order(offers: Iterable[Offer], most: int) -> tuple[Change, ...]:
    """So many: what is good to use in the order in which it comes, which is by what it costs, then the last resorts."""
    good: list[Offer] = []
    last: list[Offer] = []
    for one in offers:
        (last if one.last_resort else good).append(one)
        if len(good) == most:
            break
    return tuple(_rounded(one.change) for one in (*good, *last)[:most])


def first_fast(offers: Iterable[Offer]) -> Offer | None:
    """The first that is good to use, else the fastest; the toy only where there is nothing else."""
    last: list[Offer] = []
    for one in offers:
        if not one.last_resort:
            return one
        last.append(one)
    return max(last, key=lambda one: (one.found.profile.name != TOY, one.rate), default=None)


def _rounded(change: Change) -> Change:
    """An estimate has three digits at most."""
    rate = change.tokens_per_second
    return change if rate is None else replace(change, tokens_per_second=float(f"{rate:.3g}"))
