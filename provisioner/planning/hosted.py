"""A rung on an engine that keeps every expert in host memory and all else on one card: KTransformers' kind."""

from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import Accelerator, Cpu, HostFacts, Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning import stock
from provisioner.planning.attempt import Attempt, Scene
from provisioner.planning.budget import Fit, budget_of
from provisioner.planning.card_part import PRECISIONS, checkpoints, joined
from provisioner.planning.cores import thread_count
from provisioner.planning.devices import entry_of
from provisioner.planning.expected import expect_split
from provisioner.planning.ground import Room, survey
from provisioner.planning.host_speed import host_speed
from provisioner.planning.ktransformers import HOST_OVERHEAD_BYTES, Machine, Placement, place
from provisioner.planning.rates import Situation, architecture_of, values_of
from provisioner.planning.speed import Speed
from provisioner.planning.stock import Subject

HOST = "host"


def try_hosted(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    """On the roomiest card."""
    slots = scene.wish.concurrency or profile.concurrency
    ground = survey(scene.facts, engine.vendors, embedded=False)
    # Whatever step the profile has for others: this engine lays each model over both.
    rung = replace(rung, placement="split")
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "", ground=ground)
    if not ground.devices or isinstance(ground.host, Unknown):
        return replace(empty, problem=ground.why_no_device or "the host's memory is unknown")
    entry_of_model = scene.catalog.model(profile.model)
    experts = stock.from_catalog(entry_of_model, rung.precision, scene.shelf)
    if isinstance(experts, str):
        return replace(empty, problem=experts)
    card, room = ground.devices[0]
    machine = _machine(scene.facts, card, room, ground.host)
    tokens = rung.context * slots
    whole = checkpoints(entry_of_model, scene.shelf, card.compute_capability)
    if not whole:
        unfit = place(experts.geometry, experts.weights_bytes, rung.precision, tokens, machine).unfit
        return replace(empty, subject=experts, problem=unfit or _no_checkpoint(experts, engine, card))
    placed = [(one, _placed(experts, one, rung, tokens, machine)) for one in whole]
    chosen, placement = next((pair for pair in placed if not pair[1].problem), placed[0])
    subject = joined(experts, chosen)
    budgets = (_on_card(placement, room), _on_host(placement, ground.host))
    entry = entry_of(scene.catalog, card)
    rate = None if placement.problem or entry is None else _speed(scene, engine, subject, placement, entry, tokens)
    fit = _fit(placement, budgets, subject.geometry.layers + 1)
    problem = fit.problem or stock.beyond_training(rung, subject)
    return replace(empty, subject=subject, fit=fit, speed=rate, problem=problem, kv_tokens=tokens,
                   card_experts=placement.split.card_experts)  # fmt: skip


def _placed(experts: Subject, card: Subject, rung: Rung, tokens: int, machine: Machine) -> Placement:
    return place(experts.geometry, experts.weights_bytes, rung.precision, tokens, machine, card.precision)


def _no_checkpoint(experts: Subject, engine: Engine, card: Accelerator) -> str:
    return (
        f"{engine.title} reads experts from a GGUF and all else from the model's own checkpoint, and none of {experts.title} is "
        f"published that {card.name} computes in ({', '.join(PRECISIONS)})"
    )


def _fit(placement: Placement, budgets: tuple[DeviceBudget, DeviceBudget], layers: int) -> Fit:
    """Of the card and the host whichever lacks more binds; for hardware without kernels no memory would help."""
    worst = min(budgets, key=lambda one: one.free_bytes)
    if placement.unfit or not placement.no_room:
        return Fit(budgets, layers, 1.0, 0, "", placement.unfit, (layers,))
    what = "experts on host" if worst.device == HOST else f"all but experts on {worst.device}"
    return Fit(budgets, layers, 1.0, -worst.free_bytes, worst.device, f"{what}: {placement.no_room}", (layers,))


def _machine(facts: HostFacts, card: Accelerator, room: Room, host: Room) -> Machine:
    known = isinstance(facts.cpu, Cpu) and bool(facts.cpu.flags)
    return Machine(
        device_budget_bytes=room.budget_bytes,
        compute_capability=card.compute_capability,
        host_budget_bytes=host.budget_bytes,
        flags=facts.cpu.flags if known and isinstance(facts.cpu, Cpu) else None,
    )


def _on_card(placement: Placement, room: Room) -> DeviceBudget:
    cache, overhead = placement.load.kv_bytes, placement.overhead_bytes
    weights = placement.split.device_bytes[0] - cache - overhead
    return budget_of(room, weights, cache, 0, overhead)


def _on_host(placement: Placement, room: Room) -> DeviceBudget:
    return budget_of(room, placement.host_bytes - HOST_OVERHEAD_BYTES, 0, 0, HOST_OVERHEAD_BYTES)


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
