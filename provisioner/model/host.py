"""What a host has to be given before a stack can stand on it: steps with all their values, for playbooks that decide nothing."""

from collections.abc import Mapping

from provisioner.model.plan import Finding
from provisioner.model.record import dataclass

Value = bool | str | tuple[str, ...] | tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class HostWish:
    """What the operator says beyond the plan."""

    docker_from: str | None = None
    """`distribution` or `docker`; None takes what is there, or the one that has Compose."""
    allow: tuple[str, ...] = ()
    """Address ranges that reach the published ports; without one, no firewall is touched."""
    ports: tuple[int, ...] = ()
    """Published ports besides those of the plan."""
    time_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostStep:
    """One role of the playbook, with the values that it takes; their names begin with the role's."""

    role: str
    title: str
    because: str
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class HostSteps:
    steps: tuple[HostStep, ...]
    findings: tuple[Finding, ...]
    """What no step can do here, and who can."""


@dataclass(frozen=True, slots=True)
class TaskDone:
    """One task of the playbook that changed something, would change it, or failed."""

    step: str
    name: str
    changed: bool
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` did, or would do. With several rounds, each begins with facts that were gathered anew."""

    hostname: str
    rounds: tuple[tuple[TaskDone, ...], ...]
    steps: tuple[HostStep, ...]
    """Those of the last round."""
    findings: tuple[Finding, ...]
    only_checked: bool

    @property
    def changed(self) -> bool:
        return any(task.changed for tasks in self.rounds for task in tasks)
