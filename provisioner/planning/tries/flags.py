"""What an engine that claims a share of each device is told: its dials, as the operator set them or as they are chosen."""

from collections.abc import Iterator, Mapping
from typing import cast

from provisioner.engines._constants import narrowed, pick
from provisioner.model.engines import Constant, EngineEntry
from provisioner.model.load import Card, Degrees, Load, Usage
from provisioner.model.plan import Decision, Rejected
from provisioner.model.plugins import Engine
from provisioner.model.record import dataclass
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.given import QUANTIZATION, number, offloaded, share
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.memory import kv
from provisioner.planning.sources.stock import Subject
from provisioner.planning.tries.attempt import Scene

FEWEST = 8
"""Requests at a time below which an engine is not tuned down by itself."""

SPARE = 0.005
"""Of a device, kept out of a share that was fitted to what is free."""

HALF = {"bf16": "fp16"}
"""What a card without bfloat16 computes in instead; the files are the same."""

DEGREES = {
    "tensor-parallel-size": "tensor", "pipeline-parallel-size": "pipeline", "data-parallel-size": "data",
    "decode-context-parallel-size": "decode_context",
    "tp-size": "tensor", "pp-size": "pipeline", "attn-dp-size": "data",
}  # fmt: skip
"""Flags of engines that fix a degree."""

WHOLE = "enable-expert-parallel"
"""Experts stay whole on a rank, and the ranks share them out."""

OF_ALL_RANKS = "tp-size"
"""SGLang's counts every rank of a stage, and `attn-dp-size` says into how many groups attention parts them."""

SEQUENCES = ("max-num-seqs", "max-running-requests")
BATCHED = ("max-num-batched-tokens", "chunked-prefill-size")
SHARES = ("gpu-memory-utilization", "mem-fraction-static")
CACHE = "kv-cache-dtype"
CACHE_BYTES = "kv-cache-memory-bytes"
GRAPHS = ("max-cudagraph-capture-size", "cuda-graph-max-bs-decode")
WITHOUT_GRAPHS = {"enforce-eager": "true", "cuda-graph-backend-decode": "disabled"}
COMPUTES = {"half": "fp16", "float16": "fp16", "bfloat16": "bf16"}
"""Values of `dtype` and the precision that they mean."""


@dataclass(frozen=True, slots=True)
class Dials:
    """`asked_sequences` is None where the operator set no number."""

    precision: str
    version: str
    because_version: str
    cache_type: str
    block: int
    sequences: int
    asked_sequences: int | None
    batched_tokens: int
    utilization: float | None
    eager: bool
    largest_graph: int | None
    cache_bytes: int | None
    offloaded_bytes: int
    constants: Mapping[str, tuple[Constant, ...]]


def dials_of(engine: Engine, scene: Scene, subject: Subject, card: Card) -> Dials:
    """As far as they do not depend on the layout."""
    options = scene.wish.options
    entry = scene.catalog.engine(engine.name)
    precision, version, because = _computes_in(engine, scene, subject, card)
    asked = number(options, SEQUENCES)
    batched = number(options, BATCHED)
    constants = _narrowed(entry, scene, version, card)
    found = pick(constants, "batched_tokens", version, card, Degrees())
    return Dials(
        precision=precision,
        version=version,
        because_version=because,
        cache_type=options.get(CACHE, "auto"),
        block=number(options, ("block-size", "page-size")) or kv.BLOCK,
        sequences=asked or 1,
        asked_sequences=asked,
        batched_tokens=batched or int(found.value),
        utilization=share(options, SHARES),
        eager=any(options.get(flag, "").lower() == value for flag, value in WITHOUT_GRAPHS.items()),
        largest_graph=number(options, GRAPHS),
        cache_bytes=number(options, (CACHE_BYTES,)),
        offloaded_bytes=offloaded(options),
        constants=constants,
    )


def _narrowed(entry: EngineEntry, scene: Scene, version: str, card: Card) -> Mapping[str, tuple[Constant, ...]]:
    key = ("constants", entry.name, version, card.vendor, card.name, card.architecture, card.total_bytes)
    kept = scene.lasting
    if key not in kept:
        kept[key] = narrowed(entry.constants, version, card)
    return cast("Mapping[str, tuple[Constant, ...]]", kept[key])


def _computes_in(engine: Engine, scene: Scene, subject: Subject, card: Card) -> tuple[str, str, str]:
    key = (
        "computes in",
        engine.name,
        mark(scene, subject),
        scene.wish.options.get("dtype"),
        card.vendor,
        card.name,
        card.architecture,
        card.total_bytes,
    )
    kept = scene.lasting
    if key not in kept:
        kept[key] = _newest_that_runs(engine, scene, subject, card)
    return cast("tuple[str, str, str]", kept[key])


def mark(scene: Scene, subject: Subject) -> tuple[object, ...]:
    """What tells these weights from others of the same name: their shape and their files; the catalog has one for each maker's cards."""
    if scene.lasting is scene.catalog.known:
        return subject.id, subject.precision, subject.repositories
    return subject.id, subject.precision, subject.weights_bytes, subject.geometry, subject.group, subject.files


def _precisions(scene: Scene, subject: Subject) -> tuple[str, ...]:
    """What it may be computed in, in the order of preference: as the operator said, else as the files have it."""
    asked = COMPUTES.get(scene.wish.options.get("dtype", ""))
    if subject.precision not in COMPUTES.values():
        return (subject.precision,)
    return (
        (asked,) if asked else tuple(dict.fromkeys((subject.precision, HALF.get(subject.precision, subject.precision))))
    )


def _newest_that_runs(engine: Engine, scene: Scene, subject: Subject, card: Card) -> tuple[str, str, str]:
    """Precision and version: today's where it runs, else half precision, else the newest release that still runs here."""
    entry = scene.catalog.engine(engine.name)
    versions = sorted(entry.releases, key=entry.releases.__getitem__, reverse=True) or [""]
    first, fallback = unbuilt(entry, versions[0], card), ""
    for version in _built(entry, versions, card):
        fallback = fallback or version
        for precision in _precisions(scene, subject):
            why = engine.refuses(bare_load(engine, scene, subject, card, precision, version))
            if not why:
                told = "" if version == versions[0] else f"the newest that runs on {card.name}: {first}"
                return precision, version, told
            first = first or why
    return _precisions(scene, subject)[0], fallback, ""


def _built(entry: EngineEntry, versions: list[str], card: Card) -> Iterator[str]:
    """Those that there are for this maker's cards, looked for one by one; all of them, where there is none."""
    none = True
    for version in versions:
        if not unbuilt(entry, version, card):
            none = False
            yield version
    if none:
        yield from versions


def unbuilt(entry: EngineEntry, version: str, card: Card) -> str:
    """Why there is no such version for this maker's cards, by the source that says so; empty where there is one."""
    row = pick(entry.constants, "built", version, card, Degrees()) if "built" in entry.constants else None
    return "" if row is None or row.value else f"{version} is not built for it ({row.source})"


def bare_load(engine: Engine, scene: Scene, subject: Subject, card: Card, precision: str, version: str) -> Load:
    """A rank by itself, for what an engine refuses whatever the sizes are."""
    return Load(
        geometry=subject.geometry, precision=precision, degrees=Degrees(), card=card, weights_bytes=0,
        kv_bytes_per_token=0, context=1, sequences=1, batched_tokens=1, version=version,
        constants=scene.catalog.engine(engine.name).constants,
    )  # fmt: skip


def asked_degrees(options: Mapping[str, str]) -> Degrees:
    """Those that the operator fixed; the others are 1."""
    found = {name: number(options, (flag,)) or 1 for flag, name in DEGREES.items() if flag in options}
    if OF_ALL_RANKS in options and found["tensor"] % found.get("data", 1) == 0:
        found["tensor"] //= found.get("data", 1)
    return Degrees(
        tensor=found.get("tensor", 1), pipeline=found.get("pipeline", 1), data=found.get("data", 1),
        decode_context=found.get("decode_context", 1),
    )  # fmt: skip


def not_as_asked(degrees: Degrees, options: Mapping[str, str], experts: int) -> str:
    """Whether a degree that the operator fixed is another one here, or experts are cut that were to stay whole."""
    for flag, name in DEGREES.items():
        if flag in options and _said(flag, name, degrees) != number(options, (flag,)):
            return f"engine.{flag} is set to {options[flag]}"
    if experts and degrees.tensor > 1 and not degrees.expert and options.get(WHOLE, "").lower() == "true":
        return f"engine.{WHOLE} is set to true"
    return ""


def _said(flag: str, name: str, degrees: Degrees) -> int:
    """A degree as this flag counts it."""
    return degrees.tensor * degrees.data if flag == OF_ALL_RANKS else int(getattr(degrees, name))


def sequences(dials: Dials, card: Card, degrees: Degrees, slots: int) -> Iterator[int]:
    """The engine's own number first, then halves of it: each request at a time costs memory for its logits."""
    if dials.asked_sequences:
        yield dials.asked_sequences
        return
    count = int(pick(dials.constants, "sequences", dials.version, card, degrees).value)
    least = max(FEWEST, slots)
    while count > least:
        yield count
        count //= 2
    yield least


def fitted_share(load: Load, usage: Usage) -> float | None:
    """What is free, where somebody else holds so much of the device that the engine's own share is not; else None.

    Whoever tells the engine how large its cache is has told it no share: it still starts only where its usual one is free.
    """
    card, claimed = load.card, usage.budget.bytes
    if load.cache_bytes is not None:
        row = pick(load.constants, "utilization", load.version, card, load.degrees)
        claimed = int(card.total_bytes * row.value) + 1
    free = card.free_bytes - (0 if usage.graphs_inside else usage.graphs.bytes)
    if free >= claimed:
        return None
    return max(0.01, int((free / card.total_bytes - SPARE) * 100) / 100)


def options_of(
    scene: Scene, engine: Engine, subject: Subject, layout: Layout, load: Load, usage: Usage, dials: Dials
) -> tuple[Mapping[str, str], tuple[Decision, ...]]:
    """The engine's flags as far as they differ from what it would do by itself, and why."""
    names = engine.options
    cut = layout.degrees
    wanted = {
        **{flag: str(said) for flag, name in DEGREES.items() if (said := _said(flag, name, cut)) > 1},
        **({WHOLE: "true"} if cut.expert else {}),
        **({"ep-size": str(cut.tensor * cut.data)} if cut.expert else {}),
        **{flag: str(load.sequences) for flag in SEQUENCES},
        **{flag: str(load.batched_tokens) for flag in BATCHED},
        **(dict.fromkeys(GRAPHS, str(usage.largest_graph)) if usage.largest_graph else {}),
        **({"dtype": "half"} if dials.precision == "fp16" else {}),
        **(dict.fromkeys(SHARES, f"{load.utilization:g}") if load.utilization else {}),
        **({CACHE: dials.cache_type} if dials.cache_type != "auto" else {}),
        **({QUANTIZATION: subject.methods[engine.name]} if engine.name in subject.methods else {}),
    }
    options = {flag: value for flag, value in wanted.items() if flag in names}
    return {**options, **scene.wish.options}, _decisions(scene, engine, layout, load, usage, dials)


def _decisions(
    scene: Scene, engine: Engine, layout: Layout, load: Load, usage: Usage, dials: Dials
) -> tuple[Decision, ...]:
    usual = int(pick(dials.constants, "sequences", dials.version, load.card, layout.degrees).value)
    tuned = load.sequences < usual and not dials.asked_sequences
    because = "asked for" if dials.asked_sequences else "the engine's own number for this card"
    rejected = (Rejected(str(usual), "the sampler's tables for so many requests leave too little for the cache"),)
    found = [Decision("requests at a time", str(load.sequences), "fewer leave more room for the cache" if tuned else because,
                      rejected if tuned else ())]  # fmt: skip
    found.extend(_graphs(load, usage, dials))
    if dials.because_version:
        found.append(Decision("engine version", f"{engine.title} {dials.version}", dials.because_version))
    if dials.precision == "fp16":
        found.append(Decision("computes in", "fp16", f"{load.card.name} has no bfloat16, or fp16 was asked for"))
    if load.utilization and not dials.utilization:
        found.append(Decision("share of the device", f"{load.utilization:.0%}", _tenants(scene, layout)))
    return tuple(found)


def _graphs(load: Load, usage: Usage, dials: Dials) -> Iterator[Decision]:
    """For which batches kernels are recorded, and where the memory for it comes from."""
    if load.eager:
        yield Decision("graphs", "none", "asked for: every step starts its kernels one by one, which is slower")
    elif usage.largest_graph:
        held = f"{size(usage.graphs.bytes)} {'inside' if usage.graphs_inside else 'outside'} the engine's share"
        where = held if usage.graphs.bytes else usage.graphs.basis
        why = "asked for" if dials.largest_graph else "what the requests at a time ask for"
        yield Decision("graphs", f"batches up to {usage.largest_graph}", f"{why}; {where}")


def _tenants(scene: Scene, layout: Layout) -> str:
    """Who holds the rest, by process and bytes."""
    told = [
        f"{process.name or 'process'} {process.pid} holds {size(process.used_bytes)}"
        for card in scene.ground.cards
        if f"{card.vendor}:{card.index}" in layout.devices and isinstance(card.processes, tuple)
        for process in card.processes
        if process.used_bytes
    ]
    return "; ".join(told) or "the rest of the device is not free"
