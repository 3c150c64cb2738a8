"""What is known of an engine's own needs and rules: constants as data, each with its range, its cases and its source."""

from collections.abc import Mapping

from provisioner.model.record import dataclass, field


@dataclass(frozen=True, slots=True)
class Constant:
    """One figure, and where it holds: all that is said must fit, what is not said fits everything."""

    value: float
    source: str
    low: float | None = None
    high: float | None = None
    """The range that was seen; the value itself where nobody saw another."""
    cases: tuple[str, ...] = ()
    """Published runs that it was read from, by their ids in `tests/cases/`."""
    since: str = ""
    before: str = ""
    """Versions of the engine; the second is the first one that it no longer holds for."""
    vendors: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    except_cards: tuple[str, ...] = ()
    """Words in the names of cards that it does not hold for."""
    memory_from_gib: float = 0
    memory_below_gib: float = 0
    tensor_from: int = 1
    tensor_below: int = 0
    pipelined: bool | None = None
    latent: bool | None = None
    """Whether the model has latent attention (MLA)."""


@dataclass(frozen=True, slots=True)
class Image:
    """Where an engine comes from for one maker's devices. Several for one maker: the first that the machine can run."""

    vendor: str
    name: str
    """With `{version}` where the engine's own version stands in the tag; without a tag where the maker's versions are not known."""
    source: str
    least_driver: str = ""
    """The kernel driver that the libraries in it ask for; empty where any will do."""
    least_capability: str = ""
    """The oldest compute capability that its libraries have code for, as `7.5`; empty where any will do."""
    architectures: tuple[str, ...] = ()
    """The maker's own words for the cards that it is for; empty where it is for all."""
    since: str = ""
    before: str = ""
    """Versions of the engine that it is built of; the second is the first one that it no longer is."""


@dataclass(frozen=True, slots=True)
class EngineEntry:
    name: str
    constants: Mapping[str, tuple[Constant, ...]]
    """By name; of several rows the first that fits is taken."""
    releases: Mapping[str, str] = field(default_factory=dict)
    """Version to day of release, for runs that say only when they were."""
    images: tuple[Image, ...] = ()
    issues: Mapping[str, str] = field(default_factory=dict)
    """Numbers of its public issues to the days they were opened on, for runs that are known from one."""
