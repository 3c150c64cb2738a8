"""How a checkpoint's bytes are cut over ranks: heads, columns and vocabulary by the tensor group, layers by the stages.

Whole on every rank are norms, routers, and the projections down to the latent rows of MLA; key and value heads are replicated
where the tensor group is wider than they are many. Experts weigh the same on a rank whether they are cut (tensor parallel) or
dealt out whole (expert parallel); with data-parallel attention they are divided by the whole group, attention is not.
"""

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass, replace
from provisioner.model.weights import TensorBytes
from provisioner.planning.memory.checkpoints import (
    SCHEMES,
    Parts,
    Scheme,
    checkpoint_bytes,
    draft_bytes,
    parts,
    scheme_of,
)

VOCABULARY_STEP = 64
"""Rows to which the vocabulary is padded before it is cut (vLLM 0.32 layers/vocab_parallel_embedding.py)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One pipeline stage: its share of all layers, of those with experts, and what stands at the ends."""

    layers: float
    dense_layers: float
    expert_layers: float
    first: bool
    last: bool


def rank_bytes(geometry: Geometry, total_bytes: int, precision: str, degrees: Degrees) -> int:
    """Weights of the fullest rank, of a checkpoint of that many bytes."""
    return max(stage_bytes(geometry, total_bytes, precision, degrees))


def stage_bytes(geometry: Geometry, total_bytes: int, precision: str, degrees: Degrees) -> tuple[int, ...]:
    """The same for a rank of each pipeline stage."""
    return tensor_stage_bytes(geometry, tensors(geometry, total_bytes, precision), degrees)


def tensor_stage_bytes(geometry: Geometry, known: TensorBytes, degrees: Degrees) -> tuple[int, ...]:
    """The same where the bytes by kind were read from the files."""
    return tuple(_stage_bytes(geometry, known, degrees, stage) for stage in stages(geometry, degrees.pipeline))


def tensors(geometry: Geometry, total_bytes: int, precision: str) -> TensorBytes:
    """Splits a checkpoint of that many bytes by kind: tables and small parts are in 16 bits, the rest shares what is left.

    It does so as its precision's scheme has it. A drafter in the same files is taken off, since engines leave it out.
    """
    known = parts(geometry)
    scheme = scheme_of(geometry, precision) or Scheme()  # Of any other precision all matrices alike.
    draft = _draft(geometry, total_bytes, precision)
    shares = {
        "attention": known.attention * scheme.attention,
        "dense": known.dense * scheme.dense,
        "experts": known.experts * scheme.experts,
    }
    plain = 2 * (known.tables + known.rest)
    left = max(0, total_bytes - draft - plain)
    whole = sum(shares.values()) or 1.0
    split = {kind: int(left * share / whole) for kind, share in shares.items()}
    plain = min(plain, total_bytes - draft)
    return replace(_by_kind(geometry, known, split, plain), draft=draft)


def _draft(geometry: Geometry, total_bytes: int, precision: str) -> int:
    """Of a drafter that lies in the same files: where they weigh more than the model alone by most of one."""
    if not geometry.draft_layers or precision not in SCHEMES:
        return 0
    size = draft_bytes(geometry, precision)
    return size if total_bytes > checkpoint_bytes(geometry, precision) + size // 2 else 0


def _by_kind(geometry: Geometry, known: Parts, split: dict[str, int], plain: int) -> TensorBytes:
    tables = plain * known.tables // max(1, known.tables + known.rest)
    latent = int(split["attention"] * latent_share(geometry, known))
    return TensorBytes(
        embedding=tables if geometry.tied_embeddings else tables // 2,
        output=0 if geometry.tied_embeddings else tables - tables // 2,
        attention=split["attention"] - latent,
        latent=latent,
        dense=split["dense"],
        experts=split["experts"],
        small=plain - tables,
    )


def latent_share(geometry: Geometry, known: Parts) -> float:
    """Of the attention matrices, those down to the compressed rows and of the indexer."""
    if not (geometry.kv_lora_rank and known.attention):
        return 0.0
    index = geometry.index_dimensions + geometry.index_heads
    down = geometry.hidden * (geometry.q_lora_rank + geometry.kv_lora_rank + geometry.rope_dimensions + index)
    index_queries = geometry.q_lora_rank * geometry.index_heads * geometry.index_dimensions
    full = geometry.layers - geometry.linear_layers
    return min(1.0, full * (down + index_queries) / known.attention)


def stages(geometry: Geometry, count: int) -> tuple[Stage, ...]:
    """Layers with a plain feed-forward part come first in mixed models."""
    found: list[Stage] = []
    begin = 0
    dense = geometry.dense_layers if geometry.experts else geometry.layers
    for place, layers in enumerate(Degrees(pipeline=count).stage_layers(geometry.layers)):
        plain = min(max(0, dense - begin), layers)
        found.append(
            Stage(
                layers=_share(layers, geometry.layers),
                dense_layers=_share(plain, dense),
                expert_layers=_share(layers - plain, geometry.layers - dense),
                first=place == 0,
                last=place == count - 1,
            )
        )
        begin += layers
    return tuple(found)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _stage_bytes(geometry: Geometry, known: TensorBytes, degrees: Degrees, stage: Stage) -> int:
    tensor = degrees.tensor
    padded = -(-geometry.vocab // VOCABULARY_STEP) * VOCABULARY_STEP / max(1, geometry.vocab)
    head = known.output or (known.embedding if geometry.tied_embeddings and not stage.first else 0)
    tables = (known.embedding * stage.first + head * stage.last) * padded / tensor
    layers = stage.layers * (
        known.attention * attention_share(geometry, tensor) + known.latent + known.small
    ) + stage.dense_layers * (known.dense * (not geometry.experts) / tensor)
    mixed = known.dense + known.shared_experts if geometry.experts else known.shared_experts
    experts = stage.expert_layers * known.experts / (tensor * degrees.data)
    towers = known.vision * stage.first
    return int(tables + layers + stage.layers * mixed / tensor + experts + towers)


def attention_share(geometry: Geometry, tensor: int) -> float:
    """Of the matrices that are cut by heads: query and output heads divide, key and value heads only as far as they go."""
    if geometry.kv_lora_rank or not geometry.heads * geometry.key_length:
        return 1 / tensor
    query = geometry.heads * (geometry.key_length * (2 if geometry.output_gate else 1) + geometry.value_length)
    keys = geometry.kv_heads * (geometry.key_length + geometry.value_length)
    return (query / tensor + keys / min(tensor, max(1, geometry.kv_heads))) / (query + keys)
