"""What each tensor of a checkpoint is for, by its name, so that its bytes are divided over devices as engines divide them."""

import re
from collections.abc import Iterable
from functools import lru_cache

from provisioner.model.record import dataclass
from provisioner.model.weights import TensorBytes
from provisioner.weights.safetensors import Tensor

RULES = (
    ("vision", r"vision|visual|image|audio|multi_modal|mm_projector|speech|\bsiglip|patch_embed|embed_(vision|audio)"),
    ("draft", r"\bmtp\b|\bmtp_|nextn|\beagle"),
    ("shared_experts", r"shared?_experts?\.|shared_mlp\."),
    ("experts", r"\.experts?\b|\.experts_|block_sparse_moe\.(input|output)_linear|ffn\.experts"),
    ("small", r"norm|\bln_|(^|[._])(gate|router|shared_expert_gate)\.(weight|bias|layer)|correction_bias|\brouter\b|rotary|inv_freq"),
    ("embedding", r"embed_tokens|\bwte\b|\bwpe\b|word_embeddings|tok_embeddings|position_embeddings|embed_in\b|\bembeddings?\."),
    ("output", r"^(model\.|language_model\.)*(lm_head|output|embed_out)\b"),
    ("latent", r"(q_a|kv_a)_proj|kv_a_proj_with_mqa|qkv_a_proj|\bindexer\b|\bcompressor\b"),
    ("dense", r"\bmlp\b|feed_forward|\bffn\b|mixer\.(up|down|gate)_proj|\bfc[12]\b"),
    ("attention", r"attn|attention|mamba|mixer|\bconv\b|\bssm\b|linear_att"),
)  # fmt: skip
"""The first that matches: scales and biases of a projection bear its name, and so fall where it falls."""
PATTERNS = tuple((kind, re.compile(pattern)) for kind, pattern in RULES)
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,6})\.")
NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
GATE = re.compile(r"shared_expert_gate")

BESIDE = ("qzeros", "g_idx", "weight_shape", "weight_zero_point", "weight_g_idx")
"""Parts of a quantized weight that are no parameters of the model; scales are another."""


@dataclass(frozen=True, slots=True)
class Sums:
    """A checkpoint's tensors in sum. Parameters are those of the model as it was trained, unpacked, without its drafter."""

    bytes: TensorBytes
    parameters: int
    expert_parameters: int
    outside_parameters: int
    """Of towers for images and sound."""
    types: tuple[str, ...]
    """Types of the tensors, the one with the most bytes first."""


def kind_of(name: str, layers: int) -> str:
    """One of the fields of `TensorBytes`. A layer beyond the last is the drafter of DeepSeek's and GLM's kind."""
    kind = _kind(NUMBER.sub("0", name))
    number = LAYER.search(name)
    beyond = number is not None and layers > 0 and int(number[1]) >= layers
    return "draft" if beyond and kind != "vision" else kind


@lru_cache(maxsize=4096)
def _kind(name: str) -> str:
    """By the name without its numbers, of which a checkpoint of 90,000 tensors has a few dozen."""
    if GATE.search(name):
        return "small"
    return next((kind for kind, pattern in PATTERNS if pattern.search(name)), "small")


def sums_of(tensors: Iterable[Tensor], layers: int, bits: int = 4) -> Sums:
    """All tensors of a checkpoint; `bits` of a value where several are packed into one integer."""
    size: dict[str, int] = {}
    count: dict[str, int] = {}
    types: dict[str, int] = {}
    for tensor in tensors:
        kind = kind_of(tensor.name, layers)
        size[kind] = size.get(kind, 0) + tensor.bytes
        count[kind] = count.get(kind, 0) + parameters_of(tensor, bits)
        types[tensor.dtype] = types.get(tensor.dtype, 0) + tensor.bytes
    return Sums(
        bytes=TensorBytes(**size),
        parameters=sum(count.values()) - count.get("draft", 0),
        expert_parameters=count.get("experts", 0),
        outside_parameters=count.get("vision", 0),
        types=tuple(sorted(types, key=lambda name: -types[name])),
    )


def parameters_of(tensor: Tensor, bits: int) -> int:
    """Integers hold several values (AWQ and GPTQ `qweight`, compressed-tensors `weight_packed`), bytes two of 4 bits."""
    last = tensor.name.rsplit(".", 1)[-1]
    if last in BESIDE or "scale" in last:
        return 0
    if tensor.dtype == "I32" and last in ("qweight", "weight_packed"):
        return tensor.elements * (32 // bits)
    if tensor.dtype == "U8" and (last in ("weight", "weight_packed") or last.endswith("_blocks")):
        return tensor.elements * 2
    return tensor.elements
