"""KTransformers: attention and shared parts on one card, every expert in host memory. Who can run that, and how fast."""

from collections.abc import Collection

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import GIB, size
from provisioner.planning.memory.checkpoints import checkpoint_bytes
from provisioner.planning.memory.sizing import kv_cache_bytes
from provisioner.planning.speed.hybrid import EXPERTS, Load, Split, load_of
from provisioner.planning.speed.roofline import reads_of

CAPABILITIES = ("8.0", "8.6", "8.9", "9.0")
"""Of the wheels of kt-kernel 0.7.2."""

HOST_OVERHEAD_BYTES = 5 * GIB
"""Beside the experts: 382 GB of memory in use were published for the 376.65 GiB of R1 in Q4_K_M, on one socket
(kvcache-ai/ktransformers@95009ea doc/en/DeepseekR1_V3_tutorial.md; the file's size: ggml-org/llama.cpp#10981)."""

DEVICE_OVERHEAD_BYTES = 1 * GIB
"""Beside weights and cache: 11.46 GB in use were seen with R1 in Q4_K_M, where those two are 10.2 GB at 4096 tokens."""

SERVER_OVERHEAD_BYTES = 5 * GIB
"""The same under SGLang, with its graphs and a chunk of a prompt: 27 GB of a card are asked for where DeepSeek V3.2's own part in
FP8 has 20 GB (kvcache-ai/ktransformers@95009ea doc/en/kt-kernel/deepseek-v3.2-sglang-tutorial.md)."""

METHODS = (("amx_int8", "AMXINT4"), ("avx512f", "RAWINT4"), ("avx2", "LLAMAFILE"))
"""By what processors can do, the most first; the last one reads GGUF files and runs on all three."""

BLOCK = 256
"""Experts are cut over the pools of threads in whole blocks of so many values (kt-kernel 0.7.2 utils/llamafile.py, QK_K)."""

UNREAD = {"mxfp4": "kvcache-ai/ktransformers#1655", "iq4_nl": "kvcache-ai/ktransformers#1884"}
"""Types of GGUF files that this method fails with, and where that was reported."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has of what this engine needs; None for what could not be read, which is taken as enough."""

    device_budget_bytes: int
    compute_capability: str | None
    host_budget_bytes: int
    flags: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything would go."""

    load: Load
    split: Split
    host_bytes: int
    overhead_bytes: int
    """On the card, beside weights and cache."""
    methods: tuple[str, ...]
    unfit: str
    """Why this can be on no machine with such a card and such processors; empty where it can."""
    no_room: str
    """What lacks room; empty when it fits."""

    @property
    def problem(self) -> str:
        return self.unfit or self.no_room


def place(
    geometry: Geometry,
    weights_bytes: int,
    precision: str,
    context: int,
    machine: Machine,
    card_precision: str | None = None,
) -> Placement:
    """All experts on the host and all else on one card, or why that cannot be.

    `weights_bytes` in `precision` are where the experts come from. What is on the card comes from the same GGUF, as in the first
    versions, or from a checkpoint in `card_precision`, as in kt-kernel since it serves through SGLang.
    """
    load = _load(geometry, weights_bytes, precision, context, card_precision)
    overhead = SERVER_OVERHEAD_BYTES if card_precision else DEVICE_OVERHEAD_BYTES
    device = load.reads.common_bytes + load.host_table_bytes + load.kv_bytes + overhead
    count, moved = _on_card(load, device, machine)
    host = load.reads.expert_bytes - moved + HOST_OVERHEAD_BYTES
    split = Split(EXPERTS, (geometry.layers + 1,), (device + moved,), load.expert_layers, card_experts=count)
    methods = tuple(name for flag, name in METHODS if machine.flags is None or flag in machine.flags)
    no_room = _no_room(load, device + moved, host, machine)
    unfit = _unfit(load, precision, machine, methods) or _uneven(geometry)
    return Placement(load, split, host, overhead, methods, unfit, no_room)


def pools(geometry: Geometry, nodes: int) -> int:
    """Pools of threads: one for each NUMA node, and no more than there are blocks to deal out."""
    return max(1, min(nodes, geometry.expert_feed_forward // BLOCK))


def _uneven(geometry: Geometry) -> str:
    width = geometry.expert_feed_forward
    if width % BLOCK == 0:
        return ""
    return f"kt-kernel reads experts of GGUF files in blocks of {BLOCK}, and those of this model are {width} wide"


def _on_card(load: Load, device_bytes: int, machine: Machine) -> tuple[int, int]:
    """As many experts of each layer as the host has no room for, if the card has it: how many, and their bytes."""
    each = load.reads.expert_bytes // max(1, load.reads.experts)
    missing = load.reads.expert_bytes + HOST_OVERHEAD_BYTES - machine.host_budget_bytes
    if missing <= 0 or not each:
        return 0, 0
    count = -(-missing // each)
    return (count, count * each) if device_bytes + count * each <= machine.device_budget_bytes else (0, 0)


def _load(geometry: Geometry, weights_bytes: int, precision: str, context: int, card_precision: str | None) -> Load:
    cache = kv_cache_bytes(geometry, context, 1, "f16", "f16")
    load = load_of(geometry, weights_bytes, cache, precision)
    if not card_precision:
        return load
    size_on_card = checkpoint_bytes(geometry, card_precision)
    on_card = reads_of(geometry, size_on_card, card_precision)
    reads = replace(load.reads, common_bytes=on_card.common_bytes)
    return replace(load, reads=reads, weights_bytes=size_on_card - on_card.expert_bytes + reads.expert_bytes)


def _unfit(load: Load, precision: str, machine: Machine, methods: tuple[str, ...]) -> str:
    """Hardware and files that it has no kernels for, and models that it does nothing for."""
    if precision.removeprefix("ud_") in UNREAD:
        return f"kt-kernel does not load experts in {precision} ({UNREAD[precision.removeprefix('ud_')]})"
    if machine.compute_capability is not None and machine.compute_capability not in CAPABILITIES:
        return f"kt-kernel has no build for compute capability {machine.compute_capability} (only {', '.join(CAPABILITIES)})"
    if not methods:
        return "the processors have neither AVX2 nor AVX-512 nor AMX"
    return "" if load.expert_layers else "the model has no experts: KTransformers gains nothing over a split by layers"


def _no_room(load: Load, device_bytes: int, host_bytes: int, machine: Machine) -> str:
    """Of the card and the host whichever lacks more."""
    on_card, on_host = device_bytes - machine.device_budget_bytes, host_bytes - machine.host_budget_bytes
    if max(on_card, on_host) <= 0:
        return ""
    if on_card > on_host:
        return (
            f"attention, shared weights and the cache need {size(device_bytes)} of one card, "
            f"{size(machine.device_budget_bytes)} to plan with, {size(on_card)} short"
        )
    return (
        f"host memory must hold all experts: {size(load.reads.expert_bytes)} and {size(HOST_OVERHEAD_BYTES)} beside them, "
        f"{size(machine.host_budget_bytes)} to plan with, {size(on_host)} short"
    )
