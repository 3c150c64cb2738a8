"""What is tried and what came of it: the words between the ladder, the engines and the reasons."""

from collections.abc import Mapping

from provisioner.catalog import Catalog
from provisioner.model.facts import HostFacts
from provisioner.model.learned import NOTHING, Learned, Reckoned
from provisioner.model.load import Degrees, Load
from provisioner.model.plan import Decision, Rejected
from provisioner.model.plugins import Engine
from provisioner.model.record import dataclass, field
from provisioner.model.spec import Profile, Rung
from provisioner.model.weights import Shelf
from provisioner.planning.asked.settings import Wish
from provisioner.planning.machine.ground import Ground
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.memory import sizing
from provisioner.planning.memory.budget import Fit
from provisioner.planning.memory.pool import Pool
from provisioner.planning.sources.stock import Subject, is_path
from provisioner.planning.speed import bandwidth


@dataclass(frozen=True, slots=True)
class Served:
    """One copy of a model under an engine that claims a share of each device."""

    layout: Layout
    load: Load
    pool: Pool
    options: Mapping[str, str]
    """The engine's flags that were decided, without their dashes."""
    decisions: tuple[Decision, ...]
    """Why they are what they are."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables of the engine that were decided beside its flags."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung on one engine, tried. `problem` is empty when it fits; `subject` is None when there are no such weights."""

    profile: Profile
    rung: Rung
    engine: Engine
    slots: int
    subject: Subject | None
    need: sizing.Need | None
    fit: Fit | None
    speed: bandwidth.Speed | None
    problem: str
    served: Served | None = None
    ground: Ground | None = None
    """The machine as this engine may use it, where it is not the embedded one."""
    kv_tokens: int = 0
    """What the cache holds, where neither a need nor a pool tells."""
    card_experts: int = 0
    """Experts of each layer that are on the card, where all others are in host memory."""
    weighed: tuple[Decision, ...] = ()
    """Why a model that is on devices and in host memory is divided as it is."""
    reckoned: tuple[Reckoned, ...] = ()
    """Part by part what the memory is planned to be: what the engine says after its start is held against it."""

    @property
    def slow(self) -> bool:
        """Too slow to talk to, by what the profile says of that."""
        return self.speed is not None and self.speed.tokens_per_second < self.profile.min_tokens_per_second

    @property
    def label(self) -> str:
        spread = f", {words(self.served.layout.degrees)}" if self.served else ""
        return f"{self.engine.title}: {self.rung.precision}, {self.rung.context} tokens, {self.rung.placement}{spread}"


def words(degrees: Degrees) -> str:
    """`TP 4`, `TP 8 × PP 2`."""
    parts = (("TP", degrees.tensor), ("PP", degrees.pipeline), ("DP", degrees.data), ("DCP", degrees.decode_context))
    told = " × ".join(f"{name} {count}" for name, count in parts if count > 1) or "one device"
    return f"{told} with experts whole" if degrees.expert else told


@dataclass(frozen=True, slots=True)
class Choice:
    """The first attempt that fits, or the least demanding one that does not; and all that was passed over."""

    attempt: Attempt
    tiers: tuple[Rejected, ...]
    rungs: tuple[Rejected, ...]
    quicker: bool = False
    """Whether a step before it fits as well, and is too slow to talk to."""

    @property
    def fits(self) -> bool:
        return not self.attempt.problem


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a choice depends on."""

    wish: Wish
    facts: HostFacts
    ground: Ground
    catalog: Catalog
    shelf: Shelf
    known: dict[object, object] = field(default_factory=dict)
    """Answers that do not depend on what is free or wished, kept for the further tries of one plan."""
    terse: bool = False
    """Only whether it fits is asked: whoever does not may say so with less than the whole reason."""

    @property
    def lasting(self) -> dict[object, object]:
        """For what follows from the catalog and a kind of card alone, on every machine; files of one machine say it of no other."""
        return self.known if self.wish.model is not None and is_path(self.wish.model) else self.catalog.known

    learned: Learned = NOTHING
    """What earlier starts on this machine measured."""
