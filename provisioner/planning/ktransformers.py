"""KTransformers: attention and shared parts on one card, every expert in host memory. Who can run that, and how fast."""

from collections.abc import Collection

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass, replace
from provisioner.planning.amounts import GIB, size
from provisioner.planning.capacity import Expected
from provisioner.planning.checkpoints import checkpoint_bytes
from provisioner.planning.host_speed import HostSpeed
from provisioner.planning.hybrid import EXPERTS, Load, Split, tokens_per_second
from provisioner.planning.rates import Span
from provisioner.planning.roofline import reads_of
from provisioner.planning.sizing import kv_cache_bytes

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


@dataclass(frozen=True, slots=True)
class Machine:
    """What a machine has of what this engine needs; None for what could not be read, which is taken as enough."""

    device_budget_bytes: int
    compute_capability: str | None
    host_budget_bytes: int
    flags: Collection[str] | None
    sockets: int = 1


@dataclass(frozen=True, slots=True)
class Placement:
    """Where everything would go. `problem` is empty when it fits."""

    load: Load
    split: Split
    methods: tuple[str, ...]
    copies: int
    """Of the experts: with memory for one on each socket, no socket reads through the other."""
    problem: str


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
    device = load.reads.common_bytes + load.host_table_bytes + load.kv_bytes + load.device_overhead_bytes
    count, moved = _on_card(load, device, machine)
    host = load.reads.expert_bytes - moved + HOST_OVERHEAD_BYTES
    split = Split(EXPERTS, (geometry.layers + 1,), (device + moved,), load.expert_layers, host, card_experts=count)
    spare = machine.host_budget_bytes - host
    copies = machine.sockets if spare >= (machine.sockets - 1) * load.reads.expert_bytes else 1
    methods = tuple(name for flag, name in METHODS if machine.flags is None or flag in machine.flags)
    return Placement(load, split, methods, copies, _unfit(machine, methods) or _no_room(load, split, machine))


def _on_card(load: Load, device_bytes: int, machine: Machine) -> tuple[int, int]:
    """As many experts of each layer as the host has no room for, if the card has it: how many, and their bytes."""
    each = load.reads.expert_bytes // max(1, load.reads.experts)
    missing = load.reads.expert_bytes + HOST_OVERHEAD_BYTES - machine.host_budget_bytes
    if missing <= 0 or not each:
        return 0, 0
    count = -(-missing // each)
    return (count, count * each) if device_bytes + count * each <= machine.device_budget_bytes else (0, 0)


def _load(geometry: Geometry, weights_bytes: int, precision: str, context: int, card_precision: str | None) -> Load:
    reads = reads_of(geometry, weights_bytes, precision)
    whole, overhead = weights_bytes, DEVICE_OVERHEAD_BYTES
    if card_precision:
        size_on_card = checkpoint_bytes(geometry, card_precision)
        on_card = reads_of(geometry, size_on_card, card_precision)
        reads = replace(reads, common_bytes=on_card.common_bytes)
        whole = size_on_card - on_card.expert_bytes + reads.expert_bytes
        overhead = SERVER_OVERHEAD_BYTES
    return Load(
        reads=reads,
        expert_layers=geometry.layers - geometry.dense_layers if geometry.experts else 0,
        weights_bytes=whole,
        kv_bytes=kv_cache_bytes(geometry, context, 1, "f16", "f16"),
        activation_bytes=0,
        device_overhead_bytes=overhead,
        host_overhead_bytes=HOST_OVERHEAD_BYTES,
    )


def _unfit(machine: Machine, methods: tuple[str, ...]) -> str:
    """Hardware that it has no kernels for."""
    if machine.compute_capability is not None and machine.compute_capability not in CAPABILITIES:
        return f"kt-kernel has no build for compute capability {machine.compute_capability} (only {', '.join(CAPABILITIES)})"
    return "" if methods else "the processors have neither AVX2 nor AVX-512 nor AMX"


def _no_room(load: Load, split: Split, machine: Machine) -> str:
    if not load.expert_layers:
        return "the model has no experts: KTransformers gains nothing over a split by layers"
    device = split.device_bytes[0]
    if device > machine.device_budget_bytes:
        return (
            f"attention, shared weights and the cache need {size(device)} of one card, "
            f"{size(machine.device_budget_bytes)} to plan with, {size(device - machine.device_budget_bytes)} short"
        )
    missing = split.host_bytes - machine.host_budget_bytes
    if missing <= 0:
        return ""
    return (
        f"host memory must hold all experts: {size(load.reads.expert_bytes)} and {size(HOST_OVERHEAD_BYTES)} beside them, "
        f"{size(machine.host_budget_bytes)} to plan with, {size(missing)} short"
    )


def decode_rate(placement: Placement, span: Span, host: HostSpeed, context: int) -> Expected:
    """Tokens per second of one request that has filled half its context."""
    kv_bytes_per_token = placement.load.kv_bytes // max(1, context)
    return tokens_per_second(placement.load, placement.split, (span,), host, context / 2, kv_bytes_per_token)
