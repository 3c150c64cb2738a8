"""llama.cpp's memory, byte by byte: what a model needs on a device and on the host.

The figures were read from the engine's own log (`llama_kv_cache`, `sched_reserve`), xllamacpp 2026.10 on a CPU, with
models of two and three layers in the shapes of the 1.5B, 7B and 32B tiers; tests hold the arithmetic to these figures, and to
the engine itself where it is installed.
"""

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass
from provisioner.planning.asked.amounts import MIB, up

MICRO_BATCH = 512
"""Tokens of a prompt that llama.cpp computes at once (`--ubatch-size`, its default)."""

CELLS_STEP = 256
"""The cache of each slot is padded to a multiple of this many tokens."""

VALUE_BYTES = {
    "f32": (4, 1), "f16": (2, 1), "bf16": (2, 1), "q8_0": (34, 32), "q4_0": (18, 32), "q4_1": (20, 32),
    "iq4_nl": (18, 32), "q5_0": (22, 32), "q5_1": (24, 32),
}  # fmt: skip
"""Bytes and values of one block of a cache type (ggml's block sizes)."""

PROCESS_BYTES = 96 * MIB
"""Python, the engine's libraries and its HTTP server: 34 MiB resident were measured, the rest is for requests in flight."""

VOCABULARY_BYTES_PER_TOKEN = 256
"""The tokenizer's tables: 230 B a token were measured with a vocabulary of 152,064."""

CUDA_BYTES = 768 * MIB
"""The CUDA context, its kernels and its pool on one device: 0.4 to 0.6 GiB is usual on sm80 to sm90 (an assumption, not
measured here), with room for the pool that llama.cpp's matrix products use."""

CUDA_HOST_BYTES = 1024 * MIB
"""What a process that uses CUDA holds on the host: driver mappings and pinned staging buffers (an assumption)."""


@dataclass(frozen=True, slots=True)
class Need:
    """What one model takes, all of it; `per_layer` weights and cache can be split between device and host."""

    weights_bytes: int
    kv_bytes: int
    kv_bytes_per_token: int
    activation_bytes: int
    process_bytes: int
    layers: int
    copied_bytes: int = 0
    """On the first device while a prompt is computed, where the host has experts: the largest matrix of theirs (`offload`)."""


def kv_bytes_per_token(geometry: Geometry, key_type: str = "f16", value_type: str = "f16") -> int:
    """Bytes of cache for one token over all layers that keep all tokens."""
    layers = geometry.kv_layers - geometry.sliding_layers
    return layers * _row_bytes(geometry, key_type, value_type)


def _row_bytes(geometry: Geometry, key_type: str, value_type: str) -> int:
    """Latent attention keeps one compressed row that is key and value at once (the engine logs `V (f16): 0.00 MiB`)."""
    if geometry.kv_lora_rank:
        return _type_bytes(geometry.kv_lora_rank + geometry.rope_dimensions, key_type)
    keys = _type_bytes(geometry.kv_heads * geometry.key_length, key_type)
    return keys + _type_bytes(geometry.kv_heads * geometry.value_length, value_type)


def _type_bytes(values: int, kind: str) -> int:
    size, block = VALUE_BYTES[kind]
    return -(-values // block) * size


def kv_cache_bytes(geometry: Geometry, context: int, slots: int, key_type: str, value_type: str) -> int:
    """The whole cache: each slot has its own context; sliding layers keep their window and one batch."""
    full = kv_bytes_per_token(geometry, key_type, value_type) * up(context, CELLS_STEP)
    sliding = geometry.sliding_layers * _row_bytes(geometry, key_type, value_type) * _window_cells(geometry, context)
    return (full + sliding) * slots


def _window_cells(geometry: Geometry, context: int) -> int:
    return min(up(context, CELLS_STEP), up(geometry.sliding_window + MICRO_BATCH, CELLS_STEP))


def activation_bytes(geometry: Geometry, context: int) -> int:
    """The compute buffer: one micro-batch through the widest layer in 32 bits, and the attention masks in 16.

    Exact for dense models with a wide feed-forward part, an upper bound for others.
    """
    widest = 5 * geometry.hidden + max(_feed_forward(geometry), _attention(geometry))
    cells = up(context, CELLS_STEP) + (_window_cells(geometry, context) if geometry.sliding_layers else 0)
    return 4 * MICRO_BATCH * widest + 2 * MICRO_BATCH * cells + MIB


def _feed_forward(geometry: Geometry) -> int:
    dense = 3 * geometry.feed_forward
    experts = geometry.experts_used * (3 * geometry.expert_feed_forward + geometry.hidden)
    return max(dense, experts)


def _attention(geometry: Geometry) -> int:
    key = geometry.kv_lora_rank + geometry.rope_dimensions if geometry.kv_lora_rank else geometry.key_length
    return 2 * geometry.heads * key + 4 * max(1, geometry.kv_heads) * key


def process_bytes(geometry: Geometry) -> int:
    return PROCESS_BYTES + VOCABULARY_BYTES_PER_TOKEN * geometry.vocab


def need(
    geometry: Geometry, weights_bytes: int, context: int, slots: int, key_type: str = "f16", value_type: str = "f16"
) -> Need:
    return Need(
        weights_bytes=weights_bytes,
        kv_bytes=kv_cache_bytes(geometry, context, slots, key_type, value_type),
        kv_bytes_per_token=kv_bytes_per_token(geometry, key_type, value_type),
        activation_bytes=activation_bytes(geometry, context),
        process_bytes=process_bytes(geometry),
        layers=geometry.layers,
    )
