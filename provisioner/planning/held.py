"""A rung on an engine that takes what its model needs and no more, on devices, on the host, or on both: llama.cpp's kind."""

from provisioner.errors import BadInput
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning import learning, sizing, speed, stock
from provisioner.planning.attempt import Attempt, Scene
from provisioner.planning.budget import Fit, fit
from provisioner.planning.cores import thread_count
from provisioner.planning.devices import entry_of
from provisioner.planning.expected import expect_split
from provisioner.planning.ground import Ground, survey
from provisioner.planning.host_speed import host_speed
from provisioner.planning.hybrid import LAYERS, Split, load_of
from provisioner.planning.rates import Situation, architecture_of, values_of
from provisioner.planning.settings import Wish
from provisioner.planning.stock import Subject


def try_held(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    slots = scene.wish.concurrency or profile.concurrency
    if engine.program:
        ground = survey(scene.facts, engine.vendors, embedded=False)
        scene = replace(scene, ground=_without_refused(ground, engine))
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "", ground=scene.ground)
    problem = _misplaced(scene, profile, rung)
    if problem:
        return replace(empty, problem=problem)
    subject = _subject(scene, profile, rung)
    if isinstance(subject, str):
        return replace(empty, problem=subject)
    if stock.is_path(profile.model):
        longest = rung.context if scene.wish.context else min(rung.context, subject.context or rung.context)
        rung = replace(rung, precision=subject.precision, context=longest)
    keys, values = cache_types(scene.wish)
    need = sizing.need(subject.geometry, subject.weights_bytes, rung.context, slots, keys, values)
    laid = fit(need, rung.placement, scene.ground, gpu_layers(scene.wish))
    fitting, parts = learning.held(scene, engine, subject, laid)
    rate = _speed(scene, engine, rung, subject, need, fitting)
    problem = fitting.problem or stock.beyond_training(rung, subject)
    return replace(
        empty, rung=rung, subject=subject, need=need, fit=fitting, speed=rate, problem=problem, reckoned=parts
    )


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


def gpu_layers(wish: Wish) -> int | None:
    text = wish.options.get("n-gpu-layers")
    if text is None:
        return None
    if not text.isdecimal():
        raise BadInput(f"engine.n-gpu-layers is `{text}`", fix="give a whole number of layers")
    return int(text)


def _speed(
    scene: Scene, engine: Engine, rung: Rung, subject: Subject, need: sizing.Need, fitting: Fit
) -> speed.Speed | None:
    """On cards by the engine's own shares of their limits; on processors alone by the bandwidth of their memory."""
    threads, _ = thread_count(scene.facts, scene.wish.threads)
    used = [(card, layers) for (card, _), layers in zip(scene.ground.devices, fitting.split, strict=False) if layers]
    if rung.placement == "host" or not used:
        active = subject.weights_bytes * min(1.0, subject.active_parameters / max(1, subject.parameters))
        load = active + need.kv_bytes_per_token * rung.context / 2
        rate, basis = speed.host_bandwidth(scene.facts, threads)
        return speed.Speed(speed.tokens_per_second(load, rate), basis)
    entries = tuple(entry for card, _ in used if (entry := entry_of(scene.catalog, card)))
    if len(entries) < len(used):
        return None
    rows, whole = scene.catalog.speed_rows(), load_of(need, subject.geometry, subject.precision)
    situation = Situation(engine.name, "", whole.reads.shape, subject.precision, architecture_of(entries[0]))
    values, _ = values_of(rows, situation)
    host = host_speed(scene.facts, threads, values)
    budgets = [budget for budget in fitting.budgets if budget.device != "host" and budget.weights_bytes]
    split = Split(
        LAYERS,
        tuple(layers for _, layers in used),
        tuple(budget.budget_bytes - budget.free_bytes for budget in budgets),
        need.layers + 1 - fitting.device_layers,
        0,
    )
    found = expect_split(
        rows, entries, engine.name, subject.precision, whole, split, host, rung.context, need.kv_bytes_per_token
    )
    return None if isinstance(found, str) else found
