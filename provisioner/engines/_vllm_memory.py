"""What vLLM takes of a device: its share, the peak of its dummy run, its graphs, and what lies outside its tensors.

It measures all this itself at start (`determine_available_memory`): weights, then one run with as many tokens as a step may
have and with as many requests as it is started for, and gives what is left of its share to the cache. The peak is the larger
of two moments that do not overlap: the widest layer's intermediate results, or the sampler's tables of logits; buffers of
the experts' kernels stay and come on top.
"""

from math import ceil

from provisioner.engines._constants import GIB, amount, constant
from provisioner.model.catalog import Geometry
from provisioner.model.load import Amount, Load, Usage
from provisioner.model.record import replace

USUAL_LARGEST = 512
"""The largest batch of the runs whose graphs were logged."""

PROCESSORS = "cpu"
"""Whose rows of constants hold for a rank on processors, and what stands for a maker there."""

HALF = 2
"""Bytes of an intermediate value."""

MXFP4_BYTES = 4.25 / 8
"""Of a value in MXFP4, with its share of the scale that 32 of them have."""


def usage(load: Load) -> Usage:
    found = Usage(
        budget=_budget(load),
        activation=_activation(load),
        graphs=_graphs(load),
        runtime=_runtime(load),
        graphs_inside=bool(constant(load, "graphs_inside").value),
        largest_graph=0 if load.eager else largest_graph(load),
    )
    return found if load.cache_bytes is None else replace(found, budget=_with_cache(load, found, load.cache_bytes))


def _with_cache(load: Load, found: Usage, cache: int) -> Amount:
    """A cache whose bytes were told is as large as that, whatever share the engine has; everything else comes on top."""
    parts = (found.activation, found.runtime, *((found.graphs,) if found.graphs_inside else ()))
    fixed = load.weights_bytes + cache
    return Amount(
        fixed + sum(part.bytes for part in parts),
        fixed + sum(part.high for part in parts),
        fixed + sum(part.low for part in parts),
        "its cache as asked for, and what it needs beside it",
    )


def _budget(load: Load) -> Amount:
    """A share of the whole device, not of what is free; it refuses to start when less than that is free."""
    row = constant(load, "utilization")
    share = load.utilization or row.value
    size = ceil(load.card.total_bytes * share)
    whose = "as asked for" if load.utilization else f"its default, {row.source}"
    return Amount(size, size, size, f"{share:g} of the device, {whose}")


def _activation(load: Load) -> Amount:
    """The experts' buffers either stay over the whole run or belong to the layer alone."""
    sampler, layer, buffers = _sampler(load), _forward(load), _expert_buffers(load)
    if constant(load, "expert_buffers_stay").value:
        return _together(_larger(sampler, layer), buffers)
    return _larger(sampler, _together(layer, buffers))


def _larger(first: Amount, second: Amount) -> Amount:
    larger = max(first, second, key=lambda part: part.bytes)
    return Amount(larger.bytes, max(first.low, second.low), max(first.high, second.high), larger.basis)


def _together(first: Amount, second: Amount) -> Amount:
    if not second.bytes:
        return first
    return Amount(
        first.bytes + second.bytes,
        first.low + second.low,
        first.high + second.high,
        f"{first.basis}; {second.basis}",
    )


def _sampler(load: Load) -> Amount:
    """Only the last pipeline stage has logits to sample from; every rank of it gathers all of them."""
    if not load.samples or (_is_chunked(load) and not constant(load, "sampler_when_chunked").value):
        return Amount(0, 0, 0, "")
    name = "sampler_bytes_drafting" if load.drafting else "sampler_bytes"
    rows = min(load.sequences, max(load.batched_tokens, load.sequences))
    row = constant(load, name)
    return amount(row, rows * load.geometry.vocab, f"logits of {rows} requests, {row.value:g} B each")


def _forward(load: Load) -> Amount:
    geometry = load.geometry
    tokens = _step_tokens(load)
    row = constant(load, "forward_hidden")
    wide = constant(load, "forward_wide").value * _widest(geometry) / load.degrees.tensor
    low = int(tokens * HALF * (wide + (row.low or row.value) * geometry.hidden))
    high = int(tokens * HALF * (wide + (row.high or row.value) * geometry.hidden))
    size = int(tokens * HALF * (wide + row.value * geometry.hidden))
    return Amount(size, low, high, f"one layer over {tokens} tokens, {row.source}")


def _step_tokens(load: Load) -> int:
    """Tokens of the largest step: engines that do not cut long prompts run a whole one."""
    return load.batched_tokens if _is_chunked(load) else max(load.batched_tokens, load.context)


def _is_chunked(load: Load) -> bool:
    return load.context >= constant(load, "unchunked_below_context").value


def _widest(geometry: Geometry) -> int:
    """The feed-forward part that one token passes through as a whole."""
    return max(geometry.feed_forward, geometry.shared_experts * geometry.expert_feed_forward)


def _expert_buffers(load: Load) -> Amount:
    """Results of the chosen experts before they are summed, kept over the run (layers/fused_moe: two caches)."""
    geometry = load.geometry
    if not geometry.experts:
        return Amount(0, 0, 0, "")
    row = constant(load, "expert_buffers")
    width = geometry.expert_feed_forward / (1 if load.degrees.expert else load.degrees.tensor)
    each = max(2 * width, geometry.hidden) + width
    return amount(row, _step_tokens(load) * geometry.experts_used * each * HALF, "buffers of the experts' kernels")


def _graphs(load: Load) -> Amount:
    """The first capture makes the pool that all share, each further size adds its own; what was logged is for all sizes."""
    if load.eager:
        return Amount(0, 0, 0, "no graphs: eager")
    most, largest = int(constant(load, "graph_largest").value), largest_graph(load)
    whole = amount(constant(load, "graphs_gib"), GIB, "graphs")
    if not (most and largest):
        return whole
    sizes, all_sizes = len(graph_sizes(largest)), len(graph_sizes(USUAL_LARGEST))
    first = constant(load, "graphs_first_share").value
    part = first + (1 - first) * sizes / all_sizes
    told = f"graphs of {sizes} sizes up to {largest}, {whole.basis.removeprefix('graphs: ')}"
    return Amount(int(whole.bytes * part), int(whole.low * part), int(whole.high * part), told)


def largest_graph(load: Load) -> int:
    """The largest batch that graphs are captured for: as told, else as the engine chooses; 0 where that is not known."""
    most = int(constant(load, "graph_largest").value)
    if load.largest_graph is not None:
        return min(load.largest_graph, load.batched_tokens)
    return min(2 * load.sequences, most, load.batched_tokens)


def graph_sizes(largest: int) -> tuple[int, ...]:
    """1, 2, 4, every eighth up to 256 and every sixteenth after that (vllm 0.32.0 config/vllm.py, _set_cudagraph_sizes)."""
    each = (1, 2, 4, *range(8, 256, 8), *range(256, largest + 1, 16))
    return tuple(size for size in each if size <= largest)


def _runtime(load: Load) -> Amount:
    """Outside the engine's tensors, and what its kernels round experts up to."""
    libraries = amount(constant(load, "runtime_gib"), GIB, "libraries and communication")
    if load.card.vendor == PROCESSORS:
        packed = amount(constant(load, "packing"), load.weights_bytes, "weights beside their packed form")
        return _together(libraries, packed)
    return _together(libraries, kernels_own(load))


def kernels_own(load: Load) -> Amount:
    """What weights take on the device beyond the checkpoint's bytes: the engine's log counts it among the weights."""
    if load.precision == "mxfp4" and load.geometry.experts:
        return amount(constant(load, "mxfp4_padding"), _mxfp4_expert_bytes(load), "experts rounded up for kernels")
    name = f"repacking_{load.precision}"
    if name not in load.constants:
        return Amount(0, 0, 0, "")
    return amount(constant(load, name), load.weights_bytes, "weights repacked for their kernels")


def _mxfp4_expert_bytes(load: Load) -> float:
    geometry, degrees = load.geometry, load.degrees
    layers = (geometry.layers - geometry.dense_layers) / degrees.pipeline
    values = layers * geometry.experts * 3 * geometry.hidden * geometry.expert_feed_forward
    return values * MXFP4_BYTES / (degrees.tensor * degrees.data)
