"""What a plan reckons with, part by part, and what an engine then said that it took: the words of learning from starts."""

from provisioner.model.record import dataclass

CORRECTED = ("activation", "runtime", "graphs")
"""Parts that are estimates; weights and cache are arithmetic, and are measured to be compared alone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a figure holds for: starts of the same kind are alike enough to learn from."""

    engine: str
    version: str
    """Empty where it is not known."""
    architecture: str
    """As the catalog tells models apart: `dense`, `moe`, `hybrid`."""
    device: str
    """The catalog's id of the card, or `host`."""
    tensor: int
    component: str
    """`weights`, `cache`, `activation`, `runtime` or `graphs`."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """One part of a plan's memory on one device."""

    device: str
    """As the plan's budgets name it; empty where one rank of an engine stands for all."""
    kind: Kind
    planned_bytes: int
    """By the arithmetic alone: what is measured is held against this, or corrections would be corrected again."""
    bytes: int
    """As planned, corrected by what earlier starts measured."""
    starts: int = 0
    """How many of these there were."""


@dataclass(frozen=True, slots=True)
class Residual:
    """One part as it was planned, and as the engine itself said that it became."""

    kind: Kind
    planned_bytes: int
    measured_bytes: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One part of the plan in force, and what the engine said of it."""

    part: Reckoned
    measured_bytes: int | None
    """At the last start of the very same load; None where the engine does not tell it, or was not asked yet."""
    starts: int
    """How many starts of this load told it."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What the starts on this machine measured."""

    residuals: tuple[Residual, ...] = ()
    elsewhere: bool = False
    """The plan is for another machine: cards and engines of the same kind need the same there, and the plan says where that is from."""


NOTHING = Learned()
