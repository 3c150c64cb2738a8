"""What was seen of a plan's services after their start, and what was found."""

from provisioner.model.containers import Question
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Completion:
    """One streamed chat completion, as it came: when each token arrived, in seconds after the request."""

    status: int
    arrivals: tuple[float, ...]
    text: str
    tokens: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class ServiceObserved:
    """Raw answers of one service after it was started; `Unknown` where no answer came."""

    name: str
    pid: int | None
    process_state: str | None
    """The kernel's letter for the process (R, S, T, D, Z); None when it is not there."""
    health: int | Unknown
    models: tuple[str, ...] | Unknown
    context: int | Unknown
    completion: Completion | Unknown
    status_without_key: int | Unknown
    status_with_wrong_key: int | Unknown
    log_tail: tuple[str, ...] = ()
    on_devices: float | None = None
    """How much of the model is on devices, from 0 to 1, where the engine chooses that by itself and tells it."""
    container_state: str = ""
    """The runtime's word for its container, and why it ended; empty for one that is in none."""

    @property
    def goes_on(self) -> bool:
        """Its process is there and not stopped; that any other gives no answer is no news."""
        return self.process_state is not None and self.process_state not in "TtZX"


@dataclass(frozen=True, slots=True)
class BesideObserved:
    """A container beside the engines: the runtime's word for its state, `not there` without one."""

    name: str
    state: str

    @property
    def well(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question to a service beside the engines."""

    question: Question
    status: int | Unknown
    found: bool
    """Whether the answer holds what was looked for."""

    @property
    def right(self) -> bool:
        return self.status == self.question.status and self.found


@dataclass(frozen=True, slots=True)
class Observed:
    services: tuple[ServiceObserved, ...]
    beside: tuple[BesideObserved, ...] = ()
    answers: tuple[Answered, ...] = ()
    silence: str = ""
    """Why the container engine tells of no container: whether they run is not known then."""


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]
    exit_code: int
