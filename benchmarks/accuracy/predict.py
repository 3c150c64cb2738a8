"""What the planner says of a case: its own functions, from the case's arguments alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.accuracy import cards, engines, subject
from benchmarks.accuracy.cases import Case
from provisioner.catalog import Catalog
from provisioner.engines import sglang, vllm
from provisioner.engines._constants import pick
from provisioner.engines._sharded import valid_tensors
from provisioner.model.engines import Constant
from provisioner.model.load import Card, Degrees, Load
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.planning.memory import kv, pool, sharding

GIB = 1 << 30
ENGINES: Mapping[str, Engine] = {"vllm": vllm.ENGINE, "sglang": sglang.ENGINE}
CPU_CACHE_GIB = 4
"""`VLLM_CPU_KVCACHE_SPACE` of releases that have a fixed default."""
OFFERED_CONTEXT = 8192
"""Of an appliance that is only described: nobody started an engine there with a context of its own."""
WITH_LESS_THAN_ONE_REQUEST = ("sglang",)
"""Engines that start with a cache that is too small for one request of the full context; a plan refuses it all the same."""
MOST_RANKS = 4096
LEAST_PERCENT = 5
NO_CARD = Card("", "", 0, 0, "")
Constants = Mapping[str, tuple[Constant, ...]]


@dataclass(frozen=True)
class Prediction:
    """`verdict` is empty where `unknown` says why nothing can be decided."""

    verdict: str = ""
    cause: str = ""
    unknown: str = ""
    memory_unknown: str = ""
    """Why the figures below do not count: a card, a version or a layout that is not to be known."""
    version: str = ""
    weights_bytes: int = 0
    pool_bytes: int = 0
    tokens: int = 0
    low_tokens: int = 0
    high_tokens: int = 0
    tensor: int = 0
    required_tensor: int = 0
    """The smallest tensor-parallel size that starts; 0 where none does, or nobody looked."""
    card: Card | None = None


@dataclass(frozen=True)
class Run:
    """All that a case comes to before the arithmetic."""

    case: Case
    subject: subject.Subject
    engine: engines.Engine
    constants: Constants
    card: Card
    degrees: Degrees
    context: int


def predict(catalog: Catalog, case: Case, before: Card | None, without: str = "") -> Prediction:
    """`without` names a case whose figures must not be used: rows of constants that rest on it alone are left out."""
    if case.problem:
        return Prediction(unknown=case.problem)
    named = engines.name_of(case.engine)
    name = "sglang" if named == "ktransformers" else named
    if name not in ENGINES:
        known = name in catalog.engines
        why = (
            "claims no share of a device: its arithmetic has tests of its own"
            if known
            else "is nothing that is planned"
        )
        return Prediction(unknown=f"{case.engine}: {name} {why}")
    entry = catalog.engine(name)
    engine = engines.engine_of(case.engine, case.source, entry)
    found = subject.subject_of(catalog, case, on_host=named == "ktransformers")
    if isinstance(found, str):
        return Prediction(unknown=found)
    card = cards.card_of(catalog, case.gpu, before, case.number("usable_gib"))
    run = _run(case, found, engine, leave_out(entry.constants, without), card)
    if isinstance(run, str):
        return Prediction(unknown=run, card=card)
    if case.gpu.strip().lower() == "cpu":
        return _on_host(run)
    return _judged(run, name, card)


def leave_out(constants: Constants, case: str) -> Constants:
    """Rows that rest on this case alone go, where another row takes their place."""
    return {
        name: tuple(row for row in rows if row.cases != (case,) or row is rows[-1]) for name, rows in constants.items()
    }


def _run(
    case: Case, found: subject.Subject, engine: engines.Engine, constants: Constants, card: Card | None
) -> Run | str:
    context = case.count("max_model_len", "context_length", "context", "max_seq_len") or found.context
    if not engines.is_named(case.engine):
        context = min(context, OFFERED_CONTEXT)
    if not context:
        if found.bytes:
            return "neither the case nor the catalog says a context"
        context = OFFERED_CONTEXT
    degrees = _degrees(case)
    if degrees.pipeline > max(1, found.geometry.layers) or degrees.ranks > MOST_RANKS:
        return f"no engine is cut into {degrees.tensor} x {degrees.pipeline} x {degrees.data} ranks"
    if not pick(constants, "latent_cache", engine.version, card or NO_CARD, Degrees()).value:
        geometry = kv.uncompressed(found.geometry)
        found = subject.Subject(geometry, found.precision, found.bytes, found.context, found.drafter)
    return Run(case, found, engine, constants, card or NO_CARD, degrees, context)


def _degrees(case: Case) -> Degrees:
    """A case that names cards and no degrees used them all for one copy."""
    tensor = case.count("tp", "tensor_parallel_size", "tp_size")
    pipeline = case.count("pp", "pipeline_parallel_size", "pp_size") or 1
    data = case.count("dp", "data_parallel_size", "dp_size") or 1
    if tensor and case.says("enable_dp_attention", "dp_attention"):
        tensor = max(1, tensor // data)
    cards_left = max(1, (case.gpus or cards.count_of(case.gpu)) // (pipeline * data))
    return Degrees(
        tensor=tensor or cards_left,
        pipeline=pipeline,
        data=data,
        nodes=case.nodes,
        decode_context=case.count("dcp", "decode_context_parallel_size") or 1,
        expert=case.says("ep", "expert_parallel", "enable_expert_parallel") or (case.count("ep", "ep_size") or 1) > 1,
    )


def _on_host(run: Run) -> Prediction:
    """Its cache is as large as the operator says, so only the law of the cache is at stake."""
    space = int((run.case.number("VLLM_CPU_KVCACHE_SPACE") or CPU_CACHE_GIB) * GIB)
    block = run.case.count("block_size") or kv.BLOCK
    dtype = run.case.text("kv_cache_dtype") or "auto"
    (held,) = kv.counts(
        (space,), run.subject.cached, run.degrees, dtype, run.context, block, kv.STEP_TOKENS, None,
        by_requests=False, states=1,
    )  # fmt: skip
    fits = held >= run.context
    cause = "" if fits else f"{run.context} tokens are wanted, {held} have room"
    return Prediction("fits" if fits else "fails", cause, version=run.engine.version, pool_bytes=space, tokens=held,
                      low_tokens=held, high_tokens=held, tensor=run.degrees.tensor)  # fmt: skip


def _judged(run: Run, name: str, card: Card | None) -> Prediction:
    loads = stage_loads(run, run.degrees)
    refusal = ENGINES[name].refuses(loads[0])
    if card is None or not run.subject.bytes:
        return _by_rules(run, refusal)
    tight = _tightest(run, name, loads)
    verdict, cause = _verdict(run, refusal, tight, name, loads[0])
    return Prediction(
        verdict=verdict,
        cause=cause,
        memory_unknown=_unknown(run, loads[0]),
        version=run.engine.version,
        weights_bytes=max(load.weights_bytes for load in loads),
        pool_bytes=tight.kv_bytes,
        tokens=tight.tokens,
        low_tokens=tight.low_tokens,
        high_tokens=tight.high_tokens,
        tensor=run.degrees.tensor,
        required_tensor=_required(run, name, loads[0]),
        card=card,
    )


def _unknown(run: Run, load: Load) -> str:
    """Why the figures of the cache do not count."""
    if not run.engine.basis:
        return "the engine's version is not said"
    if not pick(run.constants, "figures_known", run.engine.version, run.card, run.degrees).value:
        return f"nothing is known of what releases as old as {run.engine.version} take for themselves"
    return "" if pool.has_law(load) else "the cache of this architecture has no law for each token"


def _by_rules(run: Run, refusal: str) -> Prediction:
    if refusal:
        return Prediction("config-error", refusal, memory_unknown="no card is said", version=run.engine.version)
    missing = (
        f"no card and no size is said: `{run.case.gpu}`" if run.subject.bytes else "the model's shape is not known"
    )
    return Prediction(unknown=missing, version=run.engine.version)


def _verdict(run: Run, refusal: str, tight: pool.Pool, name: str, load: Load) -> tuple[str, str]:
    """A refusal that goes away without graphs is met at their capture, when the configuration has long been accepted."""
    if refusal:
        eager = ENGINES[name].refuses(replace(load, eager=True))
        return ("config-error" if eager else "fails"), refusal
    if run.engine.name in WITH_LESS_THAN_ONE_REQUEST and 0 < tight.kv_bytes < tight.needed_bytes:
        return "fits", f"starts, and takes no request of more than {tight.tokens} tokens"
    return ("fails" if tight.problem else "fits"), tight.problem


def _tightest(run: Run, name: str, loads: list[Load]) -> pool.Pool:
    usage = ENGINES[name].usage
    if usage is None:
        raise TypeError(f"{name} claims no share of a device")
    dtype = run.case.text("kv_cache_dtype") or "auto"
    block = run.case.count("block_size") or kv.BLOCK
    return pool.tightest([pool.pool(load, usage(load), dtype, block) for load in loads])


def stage_loads(run: Run, degrees: Degrees) -> list[Load]:
    """One rank of each pipeline stage."""
    weights = sharding.stage_bytes(run.subject.geometry, run.subject.bytes, run.subject.precision, degrees)
    loads = [_load(run, degrees, stage, size) for stage, size in enumerate(weights)]
    drafter = run.subject.drafter_bytes // degrees.tensor
    return [*loads[:-1], replace(loads[-1], weights_bytes=loads[-1].weights_bytes + drafter)]


def _load(run: Run, degrees: Degrees, stage: int, weights: int) -> Load:
    case, version, card = run.case, run.engine.version, run.card

    def default(name: str) -> int:
        return int(pick(run.constants, name, version, card, degrees).value)

    return Load(
        geometry=run.subject.cached,
        precision=run.subject.precision,
        degrees=degrees,
        card=card,
        weights_bytes=weights,
        kv_bytes_per_token=kv.bytes_per_token(run.subject.cached, degrees, stage=stage),
        context=run.context,
        sequences=case.count("max_num_seqs", "max_running_requests") or default("sequences"),
        batched_tokens=case.count("max_num_batched_tokens", "chunked_prefill_size") or default("batched_tokens"),
        version=version,
        eager=case.says("enforce_eager", "eager", "disable_cuda_graph"),
        utilization=_share(case.number("util", "gpu_memory_utilization", "mem_fraction_static")),
        stage=stage,
        drafting=bool(run.subject.drafter_bytes),
        constants=run.constants,
    )


def _share(value: float | None) -> float | None:
    """A share may be written in percent; one that makes no sense is left to the engine's default."""
    if value is None or value <= 0 or value > 100 or 1 < value < LEAST_PERCENT:
        return None
    return value / 100 if value > 1 else value


def _required(run: Run, name: str, load: Load) -> int:
    """With everything else as the case has it."""
    for tensor in valid_tensors(load):
        loads = stage_loads(run, replace(run.degrees, tensor=tensor, decode_context=1))
        if not ENGINES[name].refuses(loads[0]) and not _tightest(run, name, loads).problem:
            return tensor
    return 0
