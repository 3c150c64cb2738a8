"""The whole command that a refusal proposes: what was asked for stays asked for, but for the one change."""

import shlex
from collections.abc import Iterator

from provisioner.model.plan import Change
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.settings import engine_named

OF_AN_ENGINE = "engine."
NAMES = ("engine", "target", "precision", "context", "concurrency", "weights", "source", "listen")

Pair = tuple[str, str]
"""An option and its value."""


def command(verb: str, spec: Spec, change: Change) -> str:
    """`provision up …`, as a person would paste it."""
    flags = _pairs(change)
    pairs = (*(pair for pair in _asked(spec) if _stays(pair, flags, change.without)), *flags)
    return f"`provision {verb} {shlex.join(word for pair in pairs for word in pair)}`"


def completed(spec: Spec, change: Change) -> Change:
    """With the settings that have to go for it: a flag beside a setting that says otherwise, or is of another engine, changes nothing."""
    flags = _pairs(change)
    said_again = {value.partition("=")[0] for option, value in flags if option == "--set"}
    gone = [
        key for key, value in spec.settings.items() if not _stays(("--set", f"{key}={value}"), flags, change.without)
    ]
    without = tuple(key for key in gone if key not in said_again)
    told = f"; without {', '.join(f'`--set {key}`' for key in without)}" if without else ""
    return replace(change, without=without, effect=f"{change.effect}{told}")


def flags_of(spec: Spec) -> tuple[str, ...]:
    """All that has to be said for it."""
    return tuple(word for pair in _asked(spec) for word in pair)


def _pairs(change: Change) -> tuple[Pair, ...]:
    return tuple(zip(change.flags[::2], change.flags[1::2], strict=True))


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


def _stays(asked: Pair, flags: tuple[Pair, ...], without: tuple[str, ...]) -> bool:
    """What the change says otherwise does not, nor what it leaves out, nor a flag that the engine it puts in place does not have."""
    names = {_name(pair) for pair in flags}
    key = _name(asked)
    if key in names or key in {_plain(name) for name in without}:
        return False
    engine = next((value for option, value in flags if option == "--engine"), None)
    return engine is None or not key.startswith(OF_AN_ENGINE) or key.removeprefix(OF_AN_ENGINE) in _flags(engine)


def _flags(engine: str) -> tuple[str, ...]:
    return engine_named(engine).options


def _name(pair: Pair) -> str:
    """`--context 8192` and `--set context=8192` say the same; `--set engine.Threads_Batch=4` says `engine.threads-batch`."""
    option, value = pair
    return _plain(value.partition("=")[0] if option == "--set" else option.removeprefix("--"))


def _plain(key: str) -> str:
    return key.strip().lower().replace("_", "-")
