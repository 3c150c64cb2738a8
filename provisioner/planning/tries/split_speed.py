"""How fast an engine is that takes what its model needs, and no more: on processors, on cards, or on both."""

from provisioner.model.plugins import Engine
from provisioner.planning.asked.devices import entry_of
from provisioner.planning.machine.cores import thread_count
from provisioner.planning.memory import sizing
from provisioner.planning.memory.budget import Fit
from provisioner.planning.sources.stock import Subject
from provisioner.planning.speed import bandwidth
from provisioner.planning.speed.expected import expect_by_size, expect_split
from provisioner.planning.speed.host_speed import HOST_VALUES, host_of, host_speed
from provisioner.planning.speed.hybrid import EXPERTS, LAYERS, Load, Split
from provisioner.planning.speed.rates import Situation, architecture_of, values_of
from provisioner.planning.tries.attempt import Scene


def speed_of(
    scene: Scene, engine: Engine, subject: Subject, need: sizing.Need, load: Load, fitting: Fit, context: int
) -> bandwidth.Speed | None:
    """By the engine's own shares of what its cards and the host's memory could do."""
    used = [card for (card, _), layers in zip(scene.ground.devices, fitting.split, strict=False) if layers]
    threads, _ = thread_count(scene.facts, scene.wish.threads)
    entries = tuple(entry for card in used if (entry := entry_of(scene.catalog, card)))
    if len(entries) < len(used):
        return None
    if not entries:
        return on_host(scene, engine, subject, load, context, need.kv_bytes_per_token)
    rows, split = scene.catalog.speed_rows(), split_of(fitting, load)
    situation = Situation(engine.name, "", load.reads.shape, subject.precision, architecture_of(entries[0]))
    values, _ = values_of(rows, situation)
    if not values.keys() >= HOST_VALUES:
        return None
    host = host_speed(scene.facts, threads, values)
    each = need.kv_bytes_per_token
    found = expect_split(rows, entries, engine.name, subject.precision, load, split, host, context, each)
    return None if isinstance(found, str) else found


def on_host(
    scene: Scene, engine: Engine, subject: Subject, load: Load, context: int, kv_bytes_per_token: int
) -> bandwidth.Speed:
    """All in the host's memory; by size alone of a file that does not tell its model's shape. The cache is of all ranks."""
    threads, _ = thread_count(scene.facts, scene.wish.threads)
    rows, everything = scene.catalog.speed_rows(), load.reads.layers + 1
    host = host_of(rows, scene.facts, threads, Situation(engine.name, "", load.reads.shape, subject.precision, ""))
    split = Split(by=LAYERS, device_layers=(), device_bytes=(), host_layers=everything)
    found = expect_split(rows, (), engine.name, subject.precision, load, split, host, context, kv_bytes_per_token)
    if not isinstance(found, str):
        return found
    active = subject.weights_bytes * min(1.0, subject.active_parameters / max(1, subject.parameters))
    return expect_by_size(active + kv_bytes_per_token * context / 2, host)


def split_of(fitting: Fit, load: Load) -> Split:
    """What is on the devices that have any of it, and how many layers, or their experts, are on the host."""
    layers = load.reads.layers
    away = layers + 1 - fitting.device_layers
    if fitting.host_experts:
        away = max(0, fitting.host_experts - (layers - load.expert_layers))
    budgets = (one for one, count in zip(fitting.budgets, fitting.split, strict=False) if count)
    return Split(
        by=EXPERTS if fitting.host_experts else LAYERS,
        device_layers=tuple(count for count in fitting.split if count),
        device_bytes=tuple(one.budget_bytes - one.free_bytes for one in budgets),
        host_layers=away,
    )
