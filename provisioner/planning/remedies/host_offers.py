"""Changes that take host memory in beside a device: whole layers, or the experts of a mixture, under llama.cpp or KTransformers."""

from collections.abc import Iterator

from provisioner.model.record import replace
from provisioner.planning.asked.settings import engine_named
from provisioner.planning.remedies.offers import Offer, offer, pace
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.choose import choose

KTRANSFORMERS = "ktransformers"


def split_beside(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """Layers of a model without experts, where some of them still find room on a device."""
    if scene.wish.placement not in (None, "device") or scene.ground.device is None or _mixture(scene, attempt):
        return
    found = _instead(scene, attempt, placement="split", engine=scene.wish.engine)
    if found is not None and found.fit is not None and found.subject is not None and any(found.fit.split):
        away = found.subject.geometry.layers + 1 - found.fit.device_layers
        change = f"{away} of {found.subject.geometry.layers + 1} layers in host memory"
        yield offer(
            found,
            change,
            f"{pace(found)}, {found.rung.precision} on {found.engine.title}",
            ("--set", "placement=split"),
        )


def experts_beside(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """Only proposed: nothing goes to host memory that nobody asked for."""
    if scene.wish.placement not in (None, "device") or scene.ground.device is None or not _mixture(scene, attempt):
        return
    found = _instead(scene, attempt, placement="split", engine=scene.wish.engine)
    if found is not None and found.weighed:
        told = f"{pace(found)}, {found.rung.precision} on {found.engine.title}"
        yield offer(found, found.weighed[0].choice, told, ("--set", "placement=split"))
    if scene.wish.engine is not None or scene.wish.placement is not None:
        return
    found = _instead(scene, attempt, placement=None, engine=KTRANSFORMERS)
    if found is not None:
        change = f"{found.engine.title}: every expert in host memory, all else on one device"
        yield offer(found, change, f"{pace(found)}, {found.rung.precision}", ("--engine", KTRANSFORMERS))


def all_on_host(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    if attempt.rung.placement == "host" and not attempt.problem:
        return
    if scene.wish.placement != "host" and (scene.ground.device is not None or scene.ground.blocked):
        found = choose(replace(scene, wish=replace(scene.wish, placement="host")))
        if found.fits:
            told = pace(found.attempt) if found.attempt.speed else "much slower"
            flags = ("--set", "placement=host")
            yield offer(found.attempt, "the host's processors and memory instead of the device", told, flags)


def _mixture(scene: Scene, attempt: Attempt) -> bool:
    if attempt.subject is not None:
        return attempt.subject.geometry.experts > 0
    name = attempt.profile.model
    return not is_path(name) and scene.catalog.model(name).architecture.experts > 0


def _instead(scene: Scene, attempt: Attempt, placement: str | None, engine: str | None) -> Attempt | None:
    """The same profile planned so; `None` where it does not fit, or where the engine has no meaning for what was set by name."""
    wish = replace(scene.wish, placement=placement, engine=engine)
    if engine is not None and not set(wish.options) <= set(engine_named(engine).options):
        return None
    found = choose(replace(scene, wish=wish))
    return found.attempt if found.fits and found.attempt.profile.name == attempt.profile.name else None
