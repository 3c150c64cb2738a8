"""How large a GGUF file is in each precision, from the model's shape: llama.cpp's own choice of a type for each tensor.

The mixed precisions give some layers' value and down projections and the output head more bits (llama.cpp's
`llama_tensor_get_type`). The tensors come out to the byte for published files of dense models and of those with experts; what
is added for the vocabulary and the names of tensors is an estimate.
"""

from provisioner.model.catalog import Geometry

BYTES = {"f16": 2.0, "q8_0": 34 / 32, "q6_k": 210 / 256, "q5_k": 176 / 256, "q4_k": 144 / 256}
"""Of a value in blocks of these types (ggml's block sizes)."""

BASE = {"f16": "f16", "bf16": "f16", "q8_0": "q8_0", "q6_k": "q6_k", "q5_k_m": "q5_k", "q4_k_m": "q4_k"}
"""What a precision gives to most tensors."""

MIXED = ("q4_k_m", "q5_k_m")
MORE = "q6_k"
HEADER_BYTES_PER_TOKEN = 61
"""A token's text, type and merge: published files have 39 B (Qwen's vocabulary of 151,936) to 61 B (Llama 3's of 128,256)."""


def can_size(geometry: Geometry, precision: str) -> bool:
    """Whether the arithmetic below is known to hold: full attention with keys and values of their own, in all layers."""
    plain = not geometry.kv_lora_rank and not geometry.linear_layers and not geometry.ungated
    return precision in BASE and plain and bool(geometry.hidden) and geometry.norms == 2


def gguf_bytes(geometry: Geometry, precision: str) -> int:
    """The file of a text model in this precision."""
    layers = sum(_layer(geometry, precision, index) for index in range(geometry.layers))
    return int(layers + _tables(geometry, precision) + 4 * geometry.hidden) + HEADER_BYTES_PER_TOKEN * geometry.vocab


def _tables(geometry: Geometry, precision: str) -> float:
    """Embeddings and head; the same tensor where they are tied, in the head's type."""
    table = geometry.vocab * geometry.hidden
    head = BYTES[MORE if precision in MIXED else BASE[precision]]
    return table * (head if geometry.tied_embeddings else head + BYTES[BASE[precision]])


def _layer(geometry: Geometry, precision: str, index: int) -> float:
    base = BYTES[BASE[precision]]
    raised = precision in MIXED and _gets_more(index, geometry.layers)
    queries = geometry.heads * (geometry.key_length + geometry.value_length)
    keys = geometry.kv_heads * geometry.key_length
    values = geometry.kv_heads * geometry.value_length
    attention = geometry.hidden * ((queries + keys) * base + values * _value_bytes(geometry, precision, raised))
    down = BYTES[MORE] if raised else base
    return attention + _feed_forward(geometry, index) * (2 * base + down) + 4 * _small(geometry, index)


def _gets_more(index: int, layers: int) -> bool:
    """The first and the last eighth, and every third layer between them (`use_more_bits`)."""
    eighth = layers // 8
    return index < eighth or index >= 7 * layers // 8 or (index - eighth) % 3 == 2


def _value_bytes(geometry: Geometry, precision: str, raised: bool) -> float:
    """Models of 70 B share each value head between so many queries that llama.cpp gives it a bit more."""
    if raised:
        return BYTES[MORE]
    if precision == "q4_k_m" and geometry.layers == 80:
        return BYTES["q5_k"]
    return BYTES[BASE[precision]]


def _feed_forward(geometry: Geometry, index: int) -> int:
    """Values of one of the three matrices of a layer, over all its experts."""
    if geometry.experts and index >= geometry.dense_layers:
        wide = (geometry.experts + geometry.shared_experts) * geometry.expert_feed_forward
        return geometry.hidden * wide
    return geometry.hidden * geometry.feed_forward


def _small(geometry: Geometry, index: int) -> int:
    """Values that stay in 32 bits: norms, biases, routers."""
    biases = (geometry.heads + 2 * geometry.kv_heads) * geometry.key_length * geometry.qkv_bias
    router = geometry.experts * geometry.hidden if index >= geometry.dense_layers else 0
    return 2 * geometry.hidden + biases + 2 * geometry.key_length * geometry.qk_norm + router
