"""A rung on an engine that keeps every expert in host memory and all else on one card: KTransformers' kind.

kt-kernel takes experts out of a GGUF, and SGLang all else out of the model's own checkpoint, at whatever precision that is in: its
wrapper takes any of SGLang's methods (sglang 0.5.23 srt/layers/moe/kt_ep_wrapper.py; kvcache-ai/ktransformers@95009ea
kt-kernel/README.md).
"""

from collections.abc import Iterator

from provisioner.model.catalog import AcceleratorEntry, ModelEntry
from provisioner.model.facts import Accelerator, Cpu, HostFacts, Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.model.weights import Shelf
from provisioner.planning.asked.devices import entry_of
from provisioner.planning.machine.cores import thread_count
from provisioner.planning.machine.ground import Room, survey
from provisioner.planning.memory.budget import Fit, budget_of
from provisioner.planning.sources import stock
from provisioner.planning.sources.stock import Subject
from provisioner.planning.speed.bandwidth import Speed
from provisioner.planning.speed.expected import expect_split
from provisioner.planning.speed.host_speed import host_speed
from provisioner.planning.speed.rates import Situation, architecture_of, values_of
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.ktransformers import HOST_OVERHEAD_BYTES, Machine, Placement, place

HOST = "host"
FOLDER = "experts"
"""Beside the checkpoint, and with nothing but GGUF files: kt-kernel reads all that lie where it is told to look."""

PRECISIONS = ("bf16", "fp16", "fp8", "fp8_block128", "awq", "gptq")
"""Of which SGLang has methods for experts, and which are published for NVIDIA's cards."""

WIDE_ENOUGH = {"fp8": (8, 9), "fp8_block128": (8, 9)}
"""Below this compute capability SGLang's kernels refuse 8-bit floats of experts (gpustack/gpustack@47277d7, GLM-4.6-FP8 on A100)."""

MAKERS = frozenset(("nvidia",))


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


def checkpoints(entry: ModelEntry, shelf: Shelf, compute_capability: str | None) -> tuple[Subject, ...]:
    """Those that the card has kernels for: what is at hand first, then the model's own precision, then ever fewer bits."""
    found = tuple(_published(entry, shelf, compute_capability))
    return tuple(sorted(found, key=lambda one: (not _at_hand(one), one.precision != entry.native)))


def _published(entry: ModelEntry, shelf: Shelf, compute_capability: str | None) -> Iterator[Subject]:
    own = stock.published(entry, entry.native, MAKERS) if entry.native else None
    for one in sorted(entry.checkpoints, key=lambda one: -one.bytes):
        fits_own = own is None or one.bytes <= own.bytes
        if not one.repositories or not fits_own or not _computes(one.precision, compute_capability):
            continue
        subject = stock.from_checkpoint(entry, one.precision, shelf.source, MAKERS)
        if isinstance(subject, Subject):
            yield _with_files(subject, shelf)


def _computes(precision: str, compute_capability: str | None) -> bool:
    if precision not in PRECISIONS:
        return False
    major, _, minor = (compute_capability or "").partition(".")
    known = (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
    return known is None or known >= WIDE_ENOUGH.get(precision, (0, 0))


def _with_files(subject: Subject, shelf: Shelf) -> Subject:
    if not shelf.folders and not shelf.offered:
        return subject
    from provisioner.planning.sources.folders import with_files  # Only where something is at hand.

    found = with_files(subject, shelf)
    return found if isinstance(found, Subject) else subject


def _at_hand(subject: Subject) -> bool:
    return all(file.origin.startswith("/") for file in subject.files)


def joined(experts: Subject, card: Subject) -> Subject:
    """Both as one model in one folder: the checkpoint as it comes, and the experts in a folder of their own in it."""
    beside = tuple(replace(file, name=f"{FOLDER}/{file.name}") for file in experts.files)
    origin = f"experts: {experts.origin}; all else in {card.precision}: {card.origin}"
    size = experts.weights_bytes + card.weights_bytes
    return replace(experts, files=(*card.files, *beside), weights_bytes=size, format=card.format, origin=origin)


def experts_bytes(subject: Subject) -> int:
    """The files that the experts are read from, which are what its precision is said of."""
    return sum(file.size_bytes for file in subject.files if file.name.startswith(f"{FOLDER}/"))
