"""Speeds of engines that lay a model over cards and host memory, predicted by the functions that `plan` predicts them with."""

from benchmarks.published_cases import Case, LeftOut, card_of, model_of, work_of
from provisioner.catalog import Catalog
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import Cpu, HostFacts, Memory
from provisioner.model.record import replace
from provisioner.planning.asked.shorthand import machine_from_text
from provisioner.planning.machine.cores import thread_count
from provisioner.planning.memory import sizing
from provisioner.planning.speed.capacity import Expected
from provisioner.planning.speed.expected import split_range
from provisioner.planning.speed.host_speed import host_speed
from provisioner.planning.speed.hybrid import EXPERTS, LAYERS, Load, Split, load_of
from provisioner.planning.speed.rates import Situation, architecture_of, values_of
from provisioner.planning.tries import ktransformers

KINDS = ("alone", "offload", "processors", "ktransformers")
GIB = 1 << 30
ENOUGH = 1 << 50
"""Room that a run had which was published: it did start."""


def takes(case: Case) -> bool:
    """Runs of one request on a machine that is described; tables of older files state the engine in prose."""
    return case.get("cls") in KINDS


def predicted(case: Case, catalog: Catalog) -> Expected:
    """Of one request alone: tokens a second."""
    engine = str(case["engine"]).split(maxsplit=1)[0]
    entry, precision = model_of(case, catalog)
    work, _ = work_of(case)
    context = 2 * int(work.context)
    shape, size = entry.architecture, _size(case, catalog)
    need = sizing.need(shape, size, context, 1)
    load = load_of(shape, size, need.kv_bytes, precision)
    facts = machine_of(case, catalog)
    cards = (_card(case, catalog),) * case.get("gpus", 1) if "gpu" in case else ()
    if engine == "ktransformers":
        machine = ktransformers.Machine(ENOUGH, None, ENOUGH, None)
        placement = ktransformers.place(shape, size, precision, context, machine)
        load, split = placement.load, placement.split
    else:
        split = split_of(case.get("args") or {}, load, len(cards))
    rows = catalog.speed_rows()
    kind = architecture_of(cards[0]) if cards else ""
    situation = Situation(engine, "", load.reads.shape, precision, kind)
    values, _ = values_of(rows, situation)
    host = host_speed(facts, thread_count(facts, None)[0], values)
    found = split_range(rows, cards, engine, precision, load, split, host, context, need.kv_bytes_per_token)
    if isinstance(found, str):
        raise LeftOut(found)
    return found[0]


def split_of(args: Case, load: Load, cards: int) -> Split:
    """As the run says it: `ngl` layers on cards, or of `n_cpu_moe` layers the experts on the host."""
    everything = load.reads.layers + 1
    on_cards = min(int(args.get("ngl", everything)), everything) if cards else 0
    each = tuple(on_cards // cards + (1 if number < on_cards % cards else 0) for number in range(cards))
    experts = int(args.get("n_cpu_moe", 0))
    away = max(0, experts - (load.reads.layers - load.expert_layers)) if experts else everything - on_cards
    return Split(EXPERTS if experts else LAYERS, each, (1,) * cards, away)


def machine_of(case: Case, catalog: Catalog) -> HostFacts:
    """The host as its publisher describes it; memory channels are unknown where he does not say."""
    said = case.get("host") or {}
    text = f"{said.get('sockets', 1)} sockets, {said.get('cores', 16)} cores"
    facts = machine_from_text(f"{text}, no gpu", catalog)
    if isinstance(facts.cpu, Cpu):
        facts = replace(facts, cpu=replace(facts.cpu, flags=tuple(said.get("flags", ()))))
    if "channels" not in said or not isinstance(facts.memory, Memory):
        return facts
    return replace(facts, memory=replace(facts.memory, channels=said["channels"], mega_transfers=said["mts"]))


def _size(case: Case, catalog: Catalog) -> int:
    if "weights_gib" in case:
        return int(case["weights_gib"] * GIB)
    entry, precision = model_of(case, catalog)
    offer = entry.offer(precision)
    if offer is None:
        raise LeftOut(f"the size of {entry.id} as {precision} is not stated, and in no catalog")
    return offer.bytes


def _card(case: Case, catalog: Catalog) -> AcceleratorEntry:
    """Of a card that the catalog lacks, the case names one of the same generation and its own bandwidth."""
    card = card_of(case, catalog)
    own = case.get("gpu_gb_s")
    return replace(card, bandwidth_bytes_per_second=int(own * 1e9)) if own else card
