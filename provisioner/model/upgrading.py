"""From one release to the next: what differs, under which terms it stays, and what became of it."""

from provisioner.model.baseline import Baseline
from provisioner.model.outcome import Outcome
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Difference:
    """One planned value that is not what it was; empty where it was not there, or is not any more."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.before or 'nothing'} → {self.after or 'nothing'}"


@dataclass(frozen=True, slots=True)
class Terms:
    """`tolerance` is a share; None for that of the profile."""

    tolerance: float | None = None
    accept_slower: bool = False


@dataclass(frozen=True, slots=True)
class Speeds:
    """How fast one model was before and is now; `before` is None of one that is new, or of one that did not answer."""

    model: str
    before: Baseline | None
    after: Baseline


@dataclass(frozen=True, slots=True)
class Upgraded:
    """`previous` is the release that was left; `differences` are empty where it is in force still."""

    outcome: Outcome
    previous: str
    differences: tuple[Difference, ...] = ()
    speeds: tuple[Speeds, ...] = ()
    """Of each model of the new release; empty where nothing was measured."""
    tolerance: float = 0.0
