"""How large a checkpoint is in each precision, from the model's shape: what is quantized, with its scales, and what is not.

Which tensors a quantization leaves alone is what the published checkpoints do: embeddings, output head, norms and the
router stay in 16 bits everywhere; MXFP4 (gpt-oss) and INT4 from training (Kimi K2 Thinking) touch the experts only.
"""

from provisioner.model.catalog import Checkpoint, Geometry, ModelEntry
from provisioner.model.record import dataclass, replace
from provisioner.planning.memory.kv import as_sliding

COMPUTED = "computed from the architecture"
AGREES = 0.02
"""A shape that gives the published number of parameters within this is trusted; else the sum is scaled to that number."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Parameters by what quantizations do with them."""

    tables: int
    """Input embeddings and, where it is not tied, the output head."""
    attention: int
    """Matrices of attention and of linear mixers."""
    dense: int
    """Matrices of feed-forward parts and of shared experts."""
    experts: int
    rest: int
    """Norms, biases, routers and towers for images or sound."""

    @property
    def total(self) -> int:
        return self.tables + self.attention + self.dense + self.experts + self.rest


@dataclass(frozen=True, slots=True)
class Scheme:
    """Bits of a quantized value with its share of scales and zero points, per kind of tensor; 16 for what is left alone."""

    attention: float = 16
    dense: float = 16
    experts: float = 16
    per_row: int = 0
    """Bytes of the one scale that each row of a matrix has, in quantizations by channel."""


def _all(bits: float, per_row: int = 0) -> Scheme:
    return Scheme(bits, bits, bits, per_row)


BLOCK_FP8 = 8 + 32 / 128**2
"""One scale of 32 bits for a block of 128 x 128 values."""

NVFP4 = 4 + 8 / 16
"""One scale of 8 bits for 16 values."""

SCHEMES: dict[str, Scheme] = {
    "fp32": _all(32),
    "bf16": _all(16),
    "fp16": _all(16),
    "fp8": _all(8, per_row=4),
    "fp8_block128": _all(BLOCK_FP8),
    "int8": _all(8, per_row=4),
    "awq": _all(4 + (16 + 4) / 128),
    "gptq": _all(4 + (16 + 4) / 128),
    "gptq_int8": _all(8 + (16 + 8) / 128),
    "w4a16": _all(4 + 16 / 128),
    "bnb": _all(4 + 8 / 64 + 32 / 64 / 256),
    "int4": Scheme(experts=4 + 16 / 32),
    "mxfp4": Scheme(experts=4 + 8 / 32),
    "nvfp4": Scheme(dense=NVFP4, experts=NVFP4),
    "int4_fp8": Scheme(BLOCK_FP8, BLOCK_FP8, 4 + (16 + 4) / 128),
    "mxfp4_fp8": Scheme(BLOCK_FP8, BLOCK_FP8, 4 + 8 / 32),
}
"""What is known by a precision's name. AWQ and GPTQ keep a 16-bit scale and a 4-bit zero point for 128 values, `w4a16` of
compressed tensors a scale only; bitsandbytes 8 bits for 64 values and a scale of scales; `int4_fp8` and `mxfp4_fp8` have the experts in the first and the other matrices in the second."""

WITHOUT_EXPERTS = {"int4": _all(4 + 16 / 128), "mxfp4": _all(4 + 8 / 32)}
"""The same names for a model that has no experts: every matrix is quantized."""


def scheme_of(geometry: Geometry, precision: str) -> Scheme | None:
    """What a precision does with this model; `None` where nothing is known by its name.

    Builds in NVFP4 differ: attention is left alone in nvidia/DeepSeek-V3-0324-NVFP4 and not in nvidia/Qwen3-32B-NVFP4 (ai-dynamo/
    aiconfigurator @6d449da and @f577ab8), linear mixers are in PassingByPixels/Qwen3.8-27B-NVFP4. Where a size was not published,
    the most is counted that one of them leaves. Of DeepSeek V4 all but the experts stays as it was (@1808d64).
    """
    if precision == "nvfp4" and geometry.heavy_layers:
        return Scheme(BLOCK_FP8, BLOCK_FP8, NVFP4)
    known = SCHEMES.get(precision)
    return known if geometry.experts else WITHOUT_EXPERTS.get(precision, known)


def parameters(geometry: Geometry) -> int:
    """All parameters of the model without its drafter."""
    return parts(geometry).total


def parts(geometry: Geometry) -> Parts:
    """The parameters of the model, without its drafter."""
    expert_layers = geometry.layers - geometry.dense_layers if geometry.experts else 0
    full = geometry.layers - geometry.linear_layers
    attention = (full - geometry.sliding_layers) * _attention(geometry)
    attention += geometry.sliding_layers * _attention(as_sliding(geometry))
    attention += geometry.linear_layers * geometry.linear_parameters + _indexers(geometry)
    return Parts(
        tables=geometry.vocab * geometry.hidden * (1 if geometry.tied_embeddings else 2),
        attention=attention,
        dense=(geometry.layers - expert_layers) * _feed_forward(geometry) + expert_layers * _shared(geometry),
        experts=expert_layers * _experts(geometry),
        rest=_rest(geometry, full, expert_layers) + geometry.parameters_outside_layers,
    )


def _attention(geometry: Geometry) -> int:
    """The matrices of one layer of full attention."""
    if geometry.kv_lora_rank:
        return _latent_attention(geometry)
    queries = geometry.heads * geometry.key_length * (2 if geometry.output_gate else 1)
    values = 0 if geometry.keys_as_values else geometry.value_length
    keys_values = geometry.kv_heads * (geometry.key_length + values)
    return geometry.hidden * (queries + keys_values + geometry.heads * geometry.value_length)


def _latent_attention(geometry: Geometry) -> int:
    queries = geometry.heads * geometry.key_length
    down = geometry.q_lora_rank
    query = geometry.hidden * down + down * queries if down else geometry.hidden * queries
    latent = geometry.hidden * (geometry.kv_lora_rank + geometry.rope_dimensions)
    unrotated = geometry.key_length - geometry.rope_dimensions
    up = geometry.kv_lora_rank * geometry.heads * (unrotated + geometry.value_length)
    return query + latent + up + geometry.heads * geometry.value_length * geometry.hidden


def _indexers(geometry: Geometry) -> int:
    """Their queries come from the compressed ones; each has one key, and a weight for each of its heads."""
    queries = geometry.q_lora_rank * geometry.index_heads * geometry.index_dimensions
    keys = geometry.hidden * (geometry.index_dimensions + geometry.index_heads)
    return (geometry.index_layers or geometry.layers) * (queries + keys)


def _feed_forward(geometry: Geometry) -> int:
    return (2 if geometry.ungated else 3) * geometry.hidden * geometry.feed_forward


def _shared(geometry: Geometry) -> int:
    return geometry.shared_experts * 3 * geometry.hidden * geometry.expert_feed_forward


def _experts(geometry: Geometry) -> int:
    width = geometry.expert_hidden or geometry.hidden
    there_and_back = 2 * geometry.hidden * geometry.expert_hidden
    return geometry.experts * (2 if geometry.ungated else 3) * width * geometry.expert_feed_forward + there_and_back


def _rest(geometry: Geometry, full_layers: int, expert_layers: int) -> int:
    """Norms, biases and routers; Qwen's hybrid models gate their shared expert as they gate attention."""
    norms = (geometry.layers * geometry.norms + 1) * geometry.hidden
    biases = (geometry.heads * geometry.key_length + 2 * geometry.kv_heads * geometry.key_length) * geometry.qkv_bias
    own_norms = 2 * geometry.key_length * geometry.qk_norm
    if geometry.kv_lora_rank:
        own_norms = geometry.kv_lora_rank + geometry.q_lora_rank + 2 * geometry.index_dimensions
    routers = expert_layers * geometry.experts * (geometry.hidden + geometry.router_bias)
    shared_gates = expert_layers * geometry.hidden if geometry.output_gate and geometry.shared_experts else 0
    return norms + full_layers * (biases + own_norms) + routers + shared_gates


def checkpoint_bytes(geometry: Geometry, precision: str) -> int:
    """The files of a checkpoint in this precision, without a drafter; `KeyError` for a precision that has no scheme."""
    known = parts(geometry)
    scheme = scheme_of(geometry, precision)
    if scheme is None:
        raise KeyError(precision)
    plain = 4 if precision == "fp32" else 2
    quantized = known.attention * scheme.attention + known.dense * scheme.dense + known.experts * scheme.experts
    rows = (known.attention + known.dense + known.experts) // max(1, geometry.hidden)
    return (known.tables + known.rest) * plain + int(quantized / 8) + rows * scheme.per_row


def draft_bytes(geometry: Geometry, precision: str) -> int:
    """The drafter that lies in the same files: a layer like the others, a projection of two states into one, three norms.

    DeepSeek V3 and GLM 4.5 repeat the embeddings and the head for it (DeepSeek's README_WEIGHTS.md: 14 B in all, 11.5 B its own).
    NVFP4 leaves it as it was (`model.layers.61*` and `mtp.*` in the files that `scheme_of` names).
    """
    if not geometry.draft_layers:
        return 0
    if precision == "nvfp4":
        precision = "mxfp4_fp8" if geometry.heavy_layers else "bf16"
    fewer = replace(geometry, layers=geometry.layers - geometry.draft_layers)
    layers = checkpoint_bytes(geometry, precision) - checkpoint_bytes(fewer, precision)
    tables = 2 * 2 * geometry.vocab * geometry.hidden if geometry.draft_tables else 0
    return layers + geometry.draft_layers * (tables + 2 * (2 * geometry.hidden**2 + 3 * geometry.hidden))


def checkpoint_of(entry: ModelEntry, precision: str, makers: frozenset[str] | None = None) -> Checkpoint | None:
    """The published checkpoint of this precision, else what one would weigh; `None` for a precision without a scheme."""
    published = entry.checkpoint(precision, makers) or _in_other_16_bits(entry, precision)
    if published is not None or precision not in SCHEMES or not entry.architecture.hidden:
        return published
    expected = parameters(entry.architecture)
    size = checkpoint_bytes(entry.architecture, precision)
    if abs(expected - entry.parameters) > AGREES * entry.parameters:
        size = int(size * entry.parameters / expected)
    return Checkpoint(precision, size, repositories={}, source=COMPUTED, verified=False)


def _in_other_16_bits(entry: ModelEntry, precision: str) -> Checkpoint | None:
    """Engines load the same files as either kind."""
    other = entry.checkpoint({"fp16": "bf16", "bf16": "fp16"}.get(precision, ""))
    return None if other is None else replace(other, precision=precision)
