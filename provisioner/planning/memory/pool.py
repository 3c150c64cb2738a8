"""What an engine that claims a share of each device has left for its cache there, whether it starts with that, and what binds."""

from math import ceil
from typing import TYPE_CHECKING

from provisioner.engines._constants import constant
from provisioner.model.load import Load, Usage
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import size
from provisioner.planning.memory import kv

if TYPE_CHECKING:
    from provisioner.planning.memory.compressed import Layout


@dataclass(frozen=True, slots=True)
class Pool:
    """The cache of one rank. `problem` is empty when the engine starts and can hold one request of the full context."""

    kv_bytes: int
    """As expected; below 0 by as much as is missing before there is any cache."""
    low_bytes: int
    high_bytes: int
    tokens: int
    low_tokens: int
    high_tokens: int
    needed_bytes: int
    """For one request of the full context, which the engine insists on."""
    free_bytes: int
    """Of the device, outside the engine's share, after graphs that it does not count inside."""
    missing_bytes: int
    """What more memory, or less need, would make it start; 0 when it does."""
    binding: str
    """The component that takes most of what is short."""
    problem: str


def pool(load: Load, usage: Usage, dtype: str = "auto", block: int = kv.BLOCK) -> Pool:
    """`dtype` and `block` are the cache's type and the tokens of one block."""
    dtype = cache_type(dtype, load)
    inside = (usage.activation, usage.runtime) + ((usage.graphs,) if usage.graphs_inside else ())
    expected = usage.budget.bytes - load.weights_bytes - sum(part.bytes for part in inside)
    low = usage.budget.low - load.weights_bytes - sum(part.high for part in inside)
    high = usage.budget.high - load.weights_bytes - sum(part.low for part in inside)
    if load.cache_bytes is not None:
        expected = low = high = load.cache_bytes
    counts = _tokens(load, (expected, low, high), dtype, block)
    needed = request_bytes(load, dtype, block)
    outside = 0 if usage.graphs_inside else usage.graphs.bytes
    free = load.card.free_bytes - usage.budget.bytes - outside
    missing, problem = _verdict(load, usage, expected, needed, free)
    return Pool(
        kv_bytes=expected,
        low_bytes=low,
        high_bytes=high,
        tokens=counts[0],
        low_tokens=counts[1],
        high_tokens=counts[2],
        needed_bytes=needed,
        free_bytes=free,
        missing_bytes=missing,
        binding=_binding(load, usage, needed) if problem else "",
        problem=problem,
    )


def _tokens(load: Load, pools: tuple[int, ...], dtype: str, block: int) -> tuple[int, ...]:
    cell = _cell_bytes(load, dtype)
    if cell:
        return tuple(max(0, int(each / cell)) * load.degrees.decode_context for each in pools)
    if _is_compressed(load):
        layout = _layout(load, block)
        each = layout.blocks(load.context, in_flight(load))
        return tuple(max(0, size) // layout.block_bytes * load.context // each for size in pools)
    return kv.counts(
        pools, load.geometry, load.degrees, dtype, load.context, block, in_flight(load), load.stage,
        by_requests=bool(constant(load, "tokens_by_requests").value), states=int(constant(load, "linear_states").value),
    )  # fmt: skip


def tokens_of(load: Load, kv_bytes: int, dtype: str = "auto", block: int = kv.BLOCK) -> int:
    """What a cache of so many bytes holds."""
    return _tokens(load, (kv_bytes,), cache_type(dtype, load), block)[0]


def bytes_per_token(load: Load, stage: int | None = None) -> int:
    """That the cache of a rank grows by, by the law that its tokens are counted by; without a stage, on the fullest one."""
    if _is_compressed(load):
        from provisioner.planning.memory import compressed

        return compressed.growing_bytes(load.geometry, load.degrees, stage)
    return kv.bytes_per_token(load.geometry, load.degrees, cache_type(load.cache_type, load), stage)


def in_flight(load: Load) -> int:
    """Tokens whose computation may not be over when a window's oldest are wanted back: of all steps that run one behind the other."""
    batches = int(constant(load, "batches_in_flight").value)
    return load.batched_tokens * (batches + load.degrees.pipeline - 1 if batches > 1 else batches)


def has_law(load: Load) -> bool:
    """Whether it is known what this release keeps of the model's tokens; of compressed sparse attention (DeepSeek V4) few are read."""
    return "compressed" not in load.geometry.kind or _is_compressed(load)


def _is_compressed(load: Load) -> bool:
    """Its rows are in 8 bits, unless somebody asks a backend that can for others (vLLM 0.32.0 models/deepseek_v4/attention.py)."""
    kept = load.cache_type in ("", "auto") or kv.value_bits(load.cache_type) == 8
    return kept and load.geometry.heavy_layers > 0 and bool(constant(load, "compressed_law").value)


def _layout(load: Load, block: int) -> "Layout":
    from provisioner.planning.memory import compressed

    return compressed.layout(load.geometry, load.degrees, block, load.stage)


def _cell_bytes(load: Load, dtype: str) -> float:
    """Of an engine that cuts its memory into pools by fixed shares; 0 for one that shares out equal blocks."""
    if "sliding_pool_ratio" not in load.constants:
        return 0
    sliding, linear = (constant(load, name).value for name in ("sliding_pool_ratio", "linear_pool_ratio"))
    return kv.cell_bytes(load.geometry, load.degrees, dtype, sliding, linear, load.stage)


def cache_type(asked: str, load: Load) -> str:
    """The type of a cached value: as asked, else what a checkpoint of this precision or the model's sparse attention asks for."""
    name = "cache_bits_sparse" if load.geometry.index_dimensions else f"cache_bits_{load.precision}"
    if asked not in ("", "auto") or name not in load.constants:
        return asked or "auto"
    return "fp8" if constant(load, name).value == 8 else "auto"


def request_bytes(load: Load, dtype: str = "auto", block: int = kv.BLOCK) -> int:
    """One request of the full context, in whole blocks: an engine that cannot hold it does not start.

    Nothing is known beforehand of a cache without a law, and some releases want room for all stages on each of them.
    """
    if not has_law(load):
        return 0
    cell = _cell_bytes(load, dtype)
    if cell:
        return ceil(cell * -(-load.context // load.degrees.decode_context))
    if _is_compressed(load):
        layout = _layout(load, block)
        padded = constant(load, "compressed_padded").value
        wide = layout.padded_bytes if padded else layout.block_bytes
        return wide * layout.blocks(load.context, in_flight(load))
    if constant(load, "whole_model_checked").value:
        load = replace(load, degrees=replace(load.degrees, pipeline=1), stage=None)
    return kv.request_bytes(
        load.geometry, load.degrees, dtype, load.context, block, in_flight(load), load.stage,
        int(constant(load, "linear_states").value),
    )  # fmt: skip


def _verdict(load: Load, usage: Usage, expected: int, needed: int, free: int) -> tuple[int, str]:
    """What is missing, and why, in the order in which the engine would run into it."""
    if load.card.free_bytes < usage.budget.bytes:
        short = usage.budget.bytes - load.card.free_bytes
        return short, (
            f"{size(load.card.free_bytes)} are free on the device, less than the engine's share of "
            f"{size(usage.budget.bytes)} ({usage.budget.basis})"
        )
    if expected <= 0:
        return needed - expected, (
            f"no memory for the cache: {_sum(load, usage)} of a share of {size(usage.budget.bytes)}"
        )
    if expected < needed:
        return needed - expected, (
            f"{size(needed)} of cache are needed for one request of {load.context} tokens, "
            f"{size(expected)} are left beside {_sum(load, usage)} of a share of {size(usage.budget.bytes)}"
        )
    if free < 0:
        return -free, (
            f"graphs need {size(usage.graphs.bytes)} outside the engine's share, which leaves "
            f"{size(load.card.free_bytes - usage.budget.bytes)}: out of memory at their capture"
        )
    return 0, ""


def _sum(load: Load, usage: Usage) -> str:
    """What takes nothing of the share is not a part of it; of activations, which nothing runs without, it is said where they are."""
    parts = {"weights": load.weights_bytes, "activations": usage.activation.bytes, "runtime": usage.runtime.bytes}
    if usage.graphs_inside:
        parts["graphs"] = usage.graphs.bytes
    told = " + ".join(f"{name} {size(amount)}" for name, amount in parts.items() if amount)
    return told if usage.activation.bytes or not usage.activation.basis else (
        f"{told} (activations and graphs are {usage.activation.basis})"
    )  # fmt: skip


def _binding(load: Load, usage: Usage, needed: int) -> str:
    parts = {
        "weights": load.weights_bytes,
        "KV cache": needed,
        "activations": usage.activation.bytes,
        "the engine itself": usage.runtime.bytes,
        "graphs": usage.graphs.bytes,
    }
    return max(parts, key=lambda name: parts[name])


def tightest(pools: list[Pool]) -> Pool:
    """The stage that sets the pool of a pipeline: the one that does not start, else the one with the fewest tokens."""
    return min(pools, key=lambda one: (not one.problem, one.tokens))


def device_budget(device: str, load: Load, usage: Usage, found: Pool, short: int) -> DeviceBudget:
    """The engine fills its share with cache, so nothing of it is left over; what is short stands below zero."""
    overhead = usage.runtime.bytes + (usage.graphs.bytes if usage.graphs_inside else 0)
    used = load.weights_bytes + usage.activation.bytes + overhead
    cache = usage.budget.bytes - used + short
    uncertain = max(found.kv_bytes - found.low_bytes, found.high_bytes - found.kv_bytes)
    basis = f"{usage.budget.basis}; {usage.activation.basis}; {usage.runtime.basis}; {usage.graphs.basis}"
    return DeviceBudget(
        device, load.card.total_bytes, usage.budget.bytes, load.weights_bytes, cache, usage.activation.bytes, overhead,
        -short, basis, uncertain,
    )  # fmt: skip
