"""What SGLang takes of a device: a fraction for weights and cache, and a reserve beside it for everything else.

The fraction is of what is free before the model is loaded; activations and graphs live in the reserve, whose size the engine
guesses from the card, the length of a prefill chunk and the degrees (0.5.23 srt/arg_groups/memory_hook.py).
"""

from provisioner.engines._constants import GIB, amount, constant
from provisioner.model.load import Amount, Load, Usage

LEAST_CHUNK = 2048


def usage(load: Load) -> Usage:
    nothing = Amount(0, 0, 0, f"inside the {_reserved(load)} that the engine leaves out of its share")
    return Usage(
        budget=_budget(load),
        activation=nothing,
        graphs=nothing,
        runtime=amount(constant(load, "runtime_gib"), GIB, "libraries and communication"),
        graphs_inside=True,
        largest_graph=0 if load.eager else largest_graph(load),
    )


def _budget(load: Load) -> Amount:
    """What is free at start, less the reserve, which is a part of the whole device."""
    free = min(load.card.free_bytes, load.card.total_bytes)
    if load.utilization:
        size = int(free * load.utilization)
        return Amount(size, size, size, f"{load.utilization:g} of the device, as asked for")
    reserve, basis = reserve_bytes(load)
    size = free - free * reserve // max(1, load.card.total_bytes)
    return Amount(size, size, size, basis)


def _reserved(load: Load) -> str:
    """In words: what is left free for activations and graphs, which its log does not tell one by one."""
    budget = _budget(load).bytes
    kept = min(load.card.free_bytes, load.card.total_bytes) - budget
    return f"{kept / GIB:.3g} GiB"


def reserve_bytes(load: Load) -> tuple[int, str]:
    """Its own estimate for activations, graphs, the parallel parts and a drafter: three rules in turn, by release."""
    share, flat = constant(load, "reserve_share"), constant(load, "reserve_gib")
    if share.value:
        return int(load.card.total_bytes * share.value), f"{1 - share.value:g} of the device by default, {share.source}"
    ranks = load.degrees.ranks
    gib = flat.value or _parts_gib(load)
    gib += constant(load, "reserve_rank_gib").value * ranks
    gib = max(gib, constant(load, "least_reserve_gib").value)
    gib += constant(load, "reserve_drafting_gib").value * load.drafting
    return int(gib * GIB), f"all but the engine's own reserve for activations and graphs, {flat.source}"


def _parts_gib(load: Load) -> float:
    """1.5 MiB for each token of a prefill chunk, 2 for each request of the largest captured batch, and a little for metadata."""
    chunk = int(constant(load, "prefill_chunk").value)
    mib = 512 + max(chunk, LEAST_CHUNK) * 1.5
    if not load.eager:
        mib += largest_graph(load) * 2
        mib += _prefill_graphs(load, chunk) * constant(load, "prefill_graphs").value
    return mib / 1024


def largest_graph(load: Load) -> int:
    """The largest batch whose decoding is captured: as told, else by the size of the card, and no more than requests."""
    if load.largest_graph is not None:
        return load.largest_graph
    return min(int(constant(load, "graph_batch").value), load.sequences)


def _prefill_graphs(load: Load, chunk: int) -> float:
    """MiB: 8 for each length that is captured, which lie 4 apart at first and 512 apart in the end."""
    if load.geometry.kv_lora_rank:
        return 1.5 * 1024
    steps = ((4, 32, 4), (48, 256, 16), (288, 512, 32), (576, 1024, 64), (1280, 4096, 256), (4608, chunk, 512))
    return 8 * sum(len(range(first, min(last, chunk) + 1, step)) for first, last, step in steps)
