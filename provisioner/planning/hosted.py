"""A rung on an engine that keeps every expert in host memory and all else on one card: KTransformers' kind."""

from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import Accelerator, Cpu, HostFacts, Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning import stock
from provisioner.planning.attempt import Attempt, Scene
from provisioner.planning.budget import Fit
from provisioner.planning.cores import thread_count
from provisioner.planning.devices import entry_of
from provisioner.planning.expected import expect_split
from provisioner.planning.ground import Room, survey
from provisioner.planning.host_speed import host_speed
from provisioner.planning.ktransformers import HOST_OVERHEAD_BYTES, Machine, Placement, place
from provisioner.planning.rates import Situation, architecture_of, values_of
from provisioner.planning.speed import Speed
from provisioner.planning.stock import Subject


def try_hosted(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    """On the roomiest card."""
    slots = scene.wish.concurrency or profile.concurrency
    ground = survey(scene.facts, engine.vendors, embedded=False)
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "", ground=ground)
    if not ground.devices or isinstance(ground.host, Unknown):
        return replace(empty, problem=ground.why_no_device or "the host's memory is unknown")
    subject = stock.from_catalog(scene.catalog.model(profile.model), rung.precision, scene.shelf)
    if isinstance(subject, str):
        return replace(empty, problem=subject)
    card, room = ground.devices[0]
    machine = _machine(scene.facts, card, room, ground.host)
    tokens = rung.context * slots
    placement = place(subject.geometry, subject.weights_bytes, rung.precision, tokens, machine)
    budgets = (_on_card(placement, room), _on_host(placement, ground.host))
    entry = entry_of(scene.catalog, card)
    rate = None if placement.problem or entry is None else _speed(scene, engine, subject, placement, entry, tokens)
    worst = min(budgets, key=lambda one: one.free_bytes)
    short = max(0, -worst.free_bytes)
    where = worst.device if short else ""
    problem = f"experts on {where}: {placement.problem}" if placement.problem and short else placement.problem
    problem = problem or stock.beyond_training(rung, subject)
    fit = Fit(budgets, subject.geometry.layers + 1, 1.0, short, where, problem, (subject.geometry.layers + 1,))
    return replace(empty, subject=subject, fit=fit, speed=rate, problem=problem, kv_tokens=tokens,
                   card_experts=placement.split.card_experts)  # fmt: skip


def _machine(facts: HostFacts, card: Accelerator, room: Room, host: Room) -> Machine:
    known = isinstance(facts.cpu, Cpu) and bool(facts.cpu.flags)
    return Machine(
        device_budget_bytes=room.budget_bytes,
        compute_capability=card.compute_capability,
        host_budget_bytes=host.budget_bytes,
        flags=facts.cpu.flags if known and isinstance(facts.cpu, Cpu) else None,
        sockets=1 if isinstance(facts.cpu, Unknown) else max(1, facts.cpu.sockets),
    )


def _on_card(placement: Placement, room: Room) -> DeviceBudget:
    load, total = placement.load, placement.split.device_bytes[0]
    weights = total - load.kv_bytes - load.device_overhead_bytes
    return DeviceBudget(room.device, room.total_bytes, room.budget_bytes, weights, load.kv_bytes, 0,
                        load.device_overhead_bytes, room.budget_bytes - total, room.basis)  # fmt: skip


def _on_host(placement: Placement, room: Room) -> DeviceBudget:
    total = placement.split.host_bytes
    return DeviceBudget("host", room.total_bytes, room.budget_bytes, total - HOST_OVERHEAD_BYTES, 0, 0,
                        HOST_OVERHEAD_BYTES, room.budget_bytes - total, room.basis)  # fmt: skip


def _speed(
    scene: Scene, engine: Engine, subject: Subject, placement: Placement, entry: AcceleratorEntry, tokens: int
) -> Speed | None:
    rows = scene.catalog.speed_rows()
    threads, _ = thread_count(scene.facts, scene.wish.threads)
    situation = Situation(engine.name, "", placement.load.reads.shape, subject.precision, architecture_of(entry))
    values, _ = values_of(rows, situation)
    host = host_speed(scene.facts, threads, values)
    each = placement.load.kv_bytes // max(1, tokens)
    found = expect_split(
        rows, (entry,), engine.name, subject.precision, placement.load, placement.split, host, tokens, each
    )
    return None if isinstance(found, str) else found
