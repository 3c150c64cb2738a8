"""What the operator wants."""

from collections.abc import Mapping

from provisioner.model.record import dataclass, field

MOST_MODELS = 6
"""On one machine: so many on eight devices are packed in seconds, with nothing better left untried."""

USERS_PER_REQUEST = 10
"""People who work with a chat for each request that is in flight: nine of ten read, think or type (a setting)."""


@dataclass(frozen=True, slots=True)
class Spec:
    """The deployment file and the flags in one; `None` leaves the choice to the profile and the planner."""

    profile: str = "auto"
    model: str | None = None
    models: tuple[str, ...] = ()
    """Two and more that share one machine; one alone is `model`."""
    engine: str | None = None
    target: str | None = None
    precision: str | None = None
    context: int | None = None
    concurrency: int | None = None
    weights: str | None = None
    source: str | None = None
    """Where weights are downloaded from: `huggingface`, `modelscope`, or the address of a mirror."""
    listen: str | None = None
    registry: str | None = None
    """Where images come from instead of the registries that their names begin with."""
    images: str | None = None
    """An archive of images, or a folder of some: what is in them is not pulled."""
    monitoring: bool = True
    """Whether measurements are collected and shown, on targets that can."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """`--set key=value`: any planned value, by its dotted name."""

    @property
    def adapters(self) -> Mapping[str, str]:
        """`--set lora=NAME=PATH,…`: folders and files by the names that they answer to."""
        pairs = (pair.partition("=") for pair in self.settings.get("lora", "").split(",") if pair.strip())
        return {name.strip(): path.strip() for name, _, path in pairs}

    @property
    def drafter(self) -> str:
        """The path of a smaller model that drafts for this one (`--set drafting=PATH:N`); empty where none does."""
        text = self.settings.get("drafting", "").strip()
        path, colon, count = text.rpartition(":")
        text = path if colon and count.isdecimal() else text
        return text if text.startswith("/") else ""

    @property
    def named(self) -> tuple[str, ...]:
        """Every model that was asked for by name."""
        return self.models or ((self.model,) if self.model is not None else ())


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a profile's ladder, best first: a precision, where it may run, how much context."""

    precision: str
    context: int
    placement: str = "device"
    """`device`: all of the model on the accelerator; `split`: what does not fit stays in host memory; `host`."""


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    title: str
    model: str
    ladder: tuple[Rung, ...]
    concurrency: int
    engines: tuple[str, ...]
    purpose: str
    min_tokens_per_second: float
    """Slower than this is refused for interactive use, unless the operator asked for exactly this profile."""
    tolerance: float = 0.1
    """How much slower than the release before, as a share, an upgrade may be and be kept."""
    tiers: tuple[str, ...] = ()
    """A profile that chooses among others has these instead of a model and a ladder, largest first."""
