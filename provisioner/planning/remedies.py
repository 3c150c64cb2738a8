"""The whole command that a refusal proposes: what was asked for stays asked for, but for the one change."""

import shlex
from collections.abc import Iterator

from provisioner.model.plan import Change
from provisioner.model.spec import Spec
from provisioner.planning.settings import engine_named

OF_AN_ENGINE = "engine."
NAMES = ("engine", "target", "precision", "context", "concurrency", "weights", "source", "listen")

Pair = tuple[str, str]
"""An option and its value."""


def command(verb: str, spec: Spec, change: Change) -> str:
    """`provision up …`, as a person would paste it."""
    flags = tuple(zip(change.flags[::2], change.flags[1::2], strict=True))
    pairs = (*(pair for pair in _asked(spec) if _stays(pair, flags)), *flags)
    return f"`provision {verb} {shlex.join(word for pair in pairs for word in pair)}`"


def flags_of(spec: Spec) -> tuple[str, ...]:
    """All that has to be said for it."""
    return tuple(word for pair in _asked(spec) for word in pair)


def _asked(spec: Spec) -> Iterator[Pair]:
    if spec.profile != "auto":
        yield "--profile", spec.profile
    for model in spec.named:
        yield "--model", model
    for name in NAMES:
        value: str | int | None = getattr(spec, name)
        if value is not None:
            yield f"--{name}", str(value)
    for key, value in spec.settings.items():
        yield "--set", f"{key}={value}"


def _stays(asked: Pair, flags: tuple[Pair, ...]) -> bool:
    """What the change says otherwise does not, nor a flag of an engine that the change puts another in place of."""
    names = {_name(pair) for pair in flags}
    key = _name(asked)
    if key in names:
        return False
    engine = next((value for option, value in flags if option == "--engine"), None)
    return engine is None or not key.startswith(OF_AN_ENGINE) or key.removeprefix(OF_AN_ENGINE) in _flags(engine)


def _flags(engine: str) -> tuple[str, ...]:
    return engine_named(engine).options


def _name(pair: Pair) -> str:
    """`--context 8192` and `--set context=8192` say the same; `--set engine.Threads_Batch=4` says `engine.threads-batch`."""
    option, value = pair
    key = value.partition("=")[0] if option == "--set" else option.removeprefix("--")
    return key.strip().lower().replace("_", "-")
