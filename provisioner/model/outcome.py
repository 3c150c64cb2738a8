"""What a workflow hands to whoever shows it."""

from typing import TYPE_CHECKING

from provisioner.model.actions import Action
from provisioner.model.containers import Container
from provisioner.model.facts import HostFacts
from provisioner.model.learned import Reading
from provisioner.model.plan import Finding, Plan, Service
from provisioner.model.record import dataclass
from provisioner.model.release import Applied, Running
from provisioner.model.report import Observed, Report

if TYPE_CHECKING:  # Most plans are made without any.
    from provisioner.model.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Planned:
    facts: HostFacts
    plan: Plan
    actions: tuple[Action, ...]
    """Empty when everything stands already."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One of several plans that are shown side by side, by the profile or the machine that it is for."""

    name: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    facts: HostFacts
    plan: Plan
    applied: Applied | None
    """None when there was nothing to do."""
    observed: Observed
    report: Report
    changed: bool
    recovered: str | None = None
    """What was finished or undone of an earlier run that did not end, in one sentence."""
    new_key: str | None = None
    """The key that was made in this run: shown once, never written anywhere but its own file."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What `down` did. `kept` says in words what it left, and why."""

    applied: Applied | None
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    service: Service
    running: Running | None
    """None when it should be there and is not."""

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.alive


@dataclass(frozen=True, slots=True)
class BesideStatus:
    """What stands beside the engines: a container, as it is planned and as it is."""

    container: Container
    running: Running | None

    @property
    def alive(self) -> bool:
        return self.running is not None and self.running.alive


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What was measured of one model of the release in force; `plan` is what the release's plan says of this model."""

    plan: Plan
    learned: tuple[Reading, ...] = ()
    """Each part of its planned memory, and what the engine said of it after its starts."""
    speed: "Baseline | None" = None
    """How fast it was when it was measured last."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is in force. `plan` is the one that the release was made from; None when nothing is in force."""

    release: str | None
    plan: Plan | None
    services: tuple[ServiceStatus, ...]
    unfinished: str | None = None
    """An earlier run that did not end, in one sentence; the next `up` or `down` settles it."""
    beside: tuple[BesideStatus, ...] = ()
    holder: str | None = None
    """Who runs `provision` on this state right now."""
    models: tuple[ModelStatus, ...] = ()
    """Each model of the plan, in its order; empty where nothing is in force."""
    weights_bytes: int = 0
    """What the store of weights takes on disk."""
    silence: str = ""
    """Why the container engine tells of no container: whether they run is not known then."""
    findings: tuple[Finding, ...] = ()
    """What is wrong, as far as it is seen without asking the services."""

    @property
    def whole(self) -> bool:
        """Whether everything that should run does."""
        return all(one.alive for one in self.services) and all(one.alive for one in self.beside)


@dataclass(frozen=True, slots=True)
class Benched:
    """How fast the release in force is, and the plan that had estimated it."""

    plan: Plan
    baseline: "Baseline"
    others: "tuple[Benched, ...]" = ()
    """The further models of the release, each by itself."""


@dataclass(frozen=True, slots=True)
class Checked:
    release: str | None
    observed: Observed
    report: Report


@dataclass(frozen=True, slots=True)
class RolledBackTo:
    """What `rollback` did: from which release to which."""

    release: str
    previous: str | None
    applied: Applied | None
    report: Report
