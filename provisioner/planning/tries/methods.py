"""A quantization that was set by name, held against the files: engines refuse a method that contradicts the checkpoint's own."""

from collections.abc import Mapping

from provisioner.errors import BadInput
from provisioner.model.plugins import Engine
from provisioner.model.spec import Profile
from provisioner.planning.asked.given import QUANTIZATION
from provisioner.planning.sources.stock import Subject, is_path
from provisioner.planning.tries.attempt import Scene


def contradicted(scene: Scene, profile: Profile, engine: Engine, subject: Subject) -> str:
    """`BadInput` where no step of the ladder has files that the named method loads; else the next step may have."""
    options = scene.wish.options
    problem = _contradiction(engine, options, subject.precision, subject.methods.get(engine.name, ""))
    named = scene.wish.precision is not None or is_path(profile.model)
    others = () if named else (step.precision for step in profile.ladder)
    if problem and not scene.terse and all(_contradiction(engine, options, other) for other in others):
        raise BadInput(problem, fix=_remedy(engine, subject.precision))
    return problem


def _contradiction(engine: Engine, options: Mapping[str, str], precision: str, method: str = "") -> str:
    """Why a method that was set by name does not load files of this precision; empty where it does, or none was set."""
    asked = options.get(QUANTIZATION)
    methods = engine.methods.get(precision)
    if asked is None or methods is None or asked in (method, *methods):
        return ""
    return f"engine.{QUANTIZATION} is `{asked}`, and the files are in {precision}"


def _remedy(engine: Engine, precision: str) -> str:
    methods = engine.methods.get(precision, ())
    leave = "leave it away: the engine reads it from the files"
    return f"{leave}; or one of {', '.join(methods)}" if methods else f"{leave}, and these are not quantized"
