"""How fast a release was when it was asked: what a later one is held against."""

from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """Some measurements of one thing: the median, the half of them that lies around it, and the best."""

    median: float
    low: float
    high: float
    best: float
    """What else runs on a machine only ever makes it worse: of two machines at work this tells most."""
    count: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured, of answers as people wait for them: streamed, and nothing of them known before."""

    tokens_per_second: Figure
    """Of one request alone, from its first token on."""
    total_tokens_per_second: Figure
    """Of all requests together, `concurrency` of them at once."""
    first_token_seconds: Figure
    """Of one request alone."""
    first_token_p95_seconds: float
    concurrency: int
    seconds: float
    """How long all of it took."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """One measurement of a release that was in force or to be."""

    release: str
    model: str
    engine: str
    measured_unix: int
    quick: bool
    speed: Speed
