"""A rung on an engine that takes what its model needs and no more, on devices, on the host, or on both: llama.cpp's kind."""

from collections.abc import Iterator

from provisioner.errors import BadInput
from provisioner.model.facts import SYSTEM_NAMES
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning.asked.settings import PROCESS, Wish
from provisioner.planning.machine.ground import Ground, survey
from provisioner.planning.memory import sizing
from provisioner.planning.sources import stock
from provisioner.planning.sources.stock import Subject
from provisioner.planning.speed.hybrid import Load, load_of
from provisioner.planning.tries import learning
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.offload import with_copies
from provisioner.planning.tries.split_speed import speed_of
from provisioner.planning.tries.weighing import Way, best_of, decisions_of, out_of_place, ways_to_lay


def try_held(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    slots = scene.wish.concurrency or profile.concurrency
    if engine.program:
        ground = survey(scene.facts, engine.vendors, embedded=False)
        scene = replace(scene, ground=_without_refused(ground, engine))
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "", ground=scene.ground)
    subject = _subject(scene, profile, rung)
    if scene.wish.adapters or scene.wish.drafting:
        from provisioner.planning.tries.tried import with_others  # Few have any.

        subject = with_others(subject, scene, engine)
    missing = subject if isinstance(subject, str) else ""
    if missing and stock.is_path(profile.model):
        return replace(empty, problem=missing)
    problem = _misplaced(scene, profile, rung) or missing
    if problem or isinstance(subject, str):
        return replace(empty, problem=problem)
    if engine.one_file and len(subject.files) > 1:
        from provisioner.planning.sources.whole import in_one_file  # Few models come in parts.

        subject = in_one_file(subject, engine.title, scene.shelf)
    if stock.is_path(profile.model):
        longest = rung.context if scene.wish.context else min(rung.context, subject.context or rung.context)
        rung = replace(rung, precision=subject.precision, context=longest)
    keys, values = cache_types(scene.wish)
    need = sizing.need(subject.geometry, subject.weights_bytes, rung.context, slots, keys, values)
    if scene.wish.drafting:
        from provisioner.planning.tries.speculation import held_cache

        more = held_cache(subject, scene, rung.context, slots, (keys, values))
        need = replace(need, kv_bytes=need.kv_bytes + more)
    load = load_of(subject.geometry, subject.weights_bytes, need.kv_bytes, subject.precision, subject.tensors)
    need = with_copies(need, load)
    ways = tuple(_ways(scene, engine, rung, subject, need, load))
    best = best_of(ways)
    problem = out_of_place(scene.wish, subject, rung.placement) or best.fit.problem
    return replace(
        empty,
        rung=rung,
        subject=subject,
        need=need,
        fit=best.fit,
        speed=best.speed,
        problem=problem or stock.beyond_training(rung, subject),
        reckoned=best.reckoned,
        weighed=decisions_of(best, ways, scene.wish, load),
    )


def _ways(scene: Scene, engine: Engine, rung: Rung, subject: Subject, need: sizing.Need, load: Load) -> Iterator[Way]:
    for laid in ways_to_lay(need, load, subject, rung.placement, scene.ground, engine, scene.wish):
        untold = (
            scene.terse and not scene.learned.residuals
        )  # Nothing was measured, and nobody is told what each part takes.
        fitting, parts = (laid, ()) if untold else learning.held(scene, engine, subject, laid)
        pointless = scene.terse and bool(fitting.problem)  # Nobody is told how fast it would be.
        speed = None if pointless else speed_of(scene, engine, subject, need, load, fitting, rung.context)
        yield Way(fitting, parts, speed)


def _without_refused(ground: Ground, engine: Engine) -> Ground:
    """Without the devices that the engine leaves alone; with its reason where that leaves none."""
    why = [engine.refuses_card(card) for card, _ in ground.devices]
    kept = tuple(pair for pair, reason in zip(ground.devices, why, strict=True) if not reason)
    if len(kept) == len(ground.devices):
        return ground
    told = next(filter(None, why))
    refused = tuple((room.device, reason) for (_, room), reason in zip(ground.devices, why, strict=True) if reason)
    return replace(ground, devices=kept, why_no_device="" if kept else told, others=(*ground.others, *refused))


def _subject(scene: Scene, profile: Profile, rung: Rung) -> Subject | str:
    if stock.is_path(profile.model):
        subject = stock.from_path(profile.model, scene.shelf)
        wanted = scene.wish.precision
        if isinstance(subject, Subject) and wanted and subject.precision != wanted:
            return f"{profile.model} holds {subject.precision}, not {wanted}"
        return subject
    return stock.from_catalog(scene.catalog.model(profile.model), rung.precision, scene.shelf)


def _misplaced(scene: Scene, profile: Profile, rung: Rung) -> str:
    """Why this rung's placement is out of the question on this machine; empty when it is not."""
    ground = scene.ground
    if scene.wish.system and scene.wish.target not in (None, PROCESS):
        name = SYSTEM_NAMES.get(scene.wish.system, scene.wish.system)
        return f"its devices' own system ({name}) has target `{PROCESS}` alone: containers of Linux have no way to them"
    if rung.placement != "host":
        return ground.why_no_device if ground.device is None else ""
    only_host = all(other.placement == "host" for other in profile.ladder)
    if scene.wish.placement == "host" or only_host:
        return ""
    if ground.device is not None:
        return f"{ground.device.device} is there; host memory is used instead only when asked: `--set placement=host`"
    return ground.why_no_device if ground.blocked else ""


def cache_types(wish: Wish) -> tuple[str, str]:
    found = (wish.options.get("cache-type-k", "f16").lower(), wish.options.get("cache-type-v", "f16").lower())
    for kind in found:
        if kind not in sizing.VALUE_BYTES:
            raise BadInput(f"cache type `{kind}` is not known", fix=f"one of {', '.join(sizing.VALUE_BYTES)}")
    return found
