"""The KV cache on one rank: bytes a token over all layers that keep every token, and bytes a request for those that do not.

Laws: grouped heads are cut over tensor parallelism down to one head a rank and replicated above that; the latent row of MLA is
whole on every rank of a tensor group and only decode-context parallelism cuts it; a pipeline's fullest stage sets the pool.
"""

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass, replace

BITS = {
    "auto": 16, "bf16": 16, "bfloat16": 16, "fp16": 16, "float16": 16, "half": 16, "f16": 16, "float32": 32, "fp32": 32,
    "fp8": 8, "fp8_e4m3": 8, "fp8_e5m2": 8, "fp8_inc": 8, "fp8_ds_mla": 8, "int8": 8, "nvfp4": 4, "fp4": 4,
}  # fmt: skip
"""Of one value, by the names that vLLM and SGLang give their cache types."""

SPARSE_LATENT_BYTES = 656
"""A latent row of DeepSeek V3.2 in fp8, per layer: 512 values, 4 scales of 32 bits and 64 rotated values in 16 bits
(`fp8_ds_mla`, vLLM 0.32 v1/attention/backends/mla/flashmla_sparse.py)."""

INDEX_SCALE_BLOCK = 128
"""Values of an indexer's key that share one scale of 32 bits; the key itself is kept in 8 bits whatever the cache's type."""

PADDED_HEAD = 256

BLOCK = 16
"""Tokens of one block where nothing asks for more."""

STEP_TOKENS = 2048
"""Tokens of one step that a sliding window is kept for beside the window itself, where the engine's own figure is not said."""


@dataclass(frozen=True, slots=True)
class Group:
    """Layers of one kind whose cache is allocated together: `layers` of them, `rows` bytes a token and layer."""

    layers: int
    row_bytes: int
    window: int = 0
    """Tokens kept; 0 for all."""
    state_bytes: int = 0
    """Per request and layer, for linear layers; such a group has no rows."""
    beside_bytes: int = 0
    """A token, over all layers of the group: the keys of indexers."""


def bytes_per_token(geometry: Geometry, degrees: Degrees, dtype: str = "auto", stage: int | None = None) -> int:
    """Growing groups, fullest pipeline stage, one rank. Decode-context parallelism deals the tokens out over its ranks."""
    layers = degrees.on_stage(geometry.kv_layers - geometry.sliding_layers, geometry.layers, stage)
    growing = layers * row_bytes(geometry, degrees, dtype) + index_bytes(geometry, degrees, stage)
    return -(-growing // degrees.decode_context)


def row_bytes(geometry: Geometry, degrees: Degrees, dtype: str = "auto") -> int:
    """One token in one layer of full attention, on one rank; the keys of an indexer are beside it."""
    bits = value_bits(dtype)
    if geometry.kv_lora_rank:
        return _latent_row(geometry, bits)
    heads = heads_on_rank(geometry.kv_heads, degrees.tensor)
    return heads * (geometry.key_length + geometry.value_length) * bits // 8


def as_sliding(geometry: Geometry) -> Geometry:
    """The shape as its sliding layers have it, whose key and value heads may be others than those of full attention."""
    if not (geometry.sliding_kv_heads or geometry.sliding_key_length or geometry.sliding_value_length):
        return geometry
    return replace(
        geometry,
        kv_heads=geometry.sliding_kv_heads or geometry.kv_heads,
        key_length=geometry.sliding_key_length or geometry.key_length,
        value_length=geometry.sliding_value_length or geometry.value_length,
        keys_as_values=False,
    )


def value_bits(dtype: str) -> int:
    """Of a cache type that is not known: as many as the model computes in."""
    return BITS.get(dtype.lower(), 16)


def _latent_row(geometry: Geometry, bits: int) -> int:
    if geometry.index_dimensions and bits == 8:
        return SPARSE_LATENT_BYTES
    return (geometry.kv_lora_rank + geometry.rope_dimensions) * bits // 8


def index_bytes(geometry: Geometry, degrees: Degrees, stage: int | None = None) -> int:
    """One token in all indexers: a key in 8 bits with its scales, whole on every rank."""
    keys = geometry.index_dimensions
    layers = (geometry.index_layers or geometry.kv_layers - geometry.sliding_layers) if keys else 0
    return degrees.on_stage(layers, geometry.layers, stage) * (keys + 4 * -(-keys // INDEX_SCALE_BLOCK))


def heads_on_rank(kv_heads: int, tensor: int) -> int:
    return max(1, kv_heads // tensor)


def state_bytes(geometry: Geometry, degrees: Degrees) -> int:
    """Of one linear layer and request: its heads are cut over the tensor group."""
    return -(-geometry.linear_state_bytes // degrees.tensor)


def groups(geometry: Geometry, degrees: Degrees, dtype: str = "auto", stage: int | None = None) -> tuple[Group, ...]:
    """The kinds of layers on a stage; those that are not there are left out."""
    row, sliding = (row_bytes(shape, degrees, dtype) for shape in (geometry, as_sliding(geometry)))
    found = (
        Group(
            degrees.on_stage(geometry.kv_layers - geometry.sliding_layers, geometry.layers, stage),
            row,
            beside_bytes=index_bytes(geometry, degrees, stage),
        ),
        Group(
            degrees.on_stage(geometry.sliding_layers, geometry.layers, stage), sliding, window=geometry.sliding_window
        ),
        Group(
            degrees.on_stage(geometry.linear_layers, geometry.layers, stage),
            0,
            state_bytes=state_bytes(geometry, degrees),
        ),
    )
    return tuple(group for group in found if group.layers and (group.row_bytes or group.state_bytes))


def counts(
    pools: tuple[int, ...],
    geometry: Geometry,
    degrees: Degrees,
    dtype: str,
    context: int,
    block: int,
    step: int,
    stage: int | None,
    *,
    by_requests: bool,
    states: int,
) -> tuple[int, ...]:
    """The tokens of several pools, as vLLM prints them: what requests of full length can hold together, or before 0.20 all blocks
    over all groups.

    `states`: of each linear layer, kept for one request: prefix caching keeps a second one.
    """
    found = groups(geometry, degrees, dtype, stage)
    if not found:
        return (0,) * len(pools)
    layout = _layout(found, block)
    blocks = [max(0, size) // layout.block_bytes for size in pools]
    if not (by_requests and context):
        return tuple(count // layout.groups * layout.block * degrees.decode_context for count in blocks)
    each = _request_blocks(found, layout, degrees, context, step, states)
    return tuple(count * context // each for count in blocks)


def cell_bytes(
    geometry: Geometry, degrees: Degrees, dtype: str, sliding: float, linear: float, stage: int | None = None
) -> float:
    """What one token takes of SGLang's pools: windows have `sliding` tokens for each of the others, states `linear` bytes.

    Its pools are cut by these shares before anything runs, whatever requests will need of them.
    """
    full = degrees.on_stage(geometry.kv_layers - geometry.sliding_layers, geometry.layers, stage)
    windows = degrees.on_stage(geometry.sliding_layers, geometry.layers, stage)
    whole = full * row_bytes(geometry, degrees, dtype) + index_bytes(geometry, degrees, stage)
    cell = whole + sliding * windows * row_bytes(as_sliding(geometry), degrees, dtype)
    return cell * (1 + linear) if geometry.linear_layers else cell


def request_bytes(
    geometry: Geometry,
    degrees: Degrees,
    dtype: str,
    context: int,
    block: int = BLOCK,
    step: int = STEP_TOKENS,
    stage: int | None = None,
    states: int = 1,
) -> int:
    """What one request of that length takes of the pool, in whole blocks of all groups."""
    found = groups(geometry, degrees, dtype, stage)
    if not found:
        return 0
    layout = _layout(found, block)
    return _request_blocks(found, layout, degrees, context, step, states) * layout.block_bytes


def _request_blocks(
    found: tuple[Group, ...], layout: "_Layout", degrees: Degrees, context: int, step: int, states: int
) -> int:
    length = -(-context // degrees.decode_context)
    return sum(_blocks_of_request(group, layout, length, step, states) for group in found)


@dataclass(frozen=True, slots=True)
class _Layout:
    """One pool of equal blocks for groups of `size` layers each: what vLLM 0.32 kv_cache_utils.py makes of the layers."""

    block: int
    row: int
    """Of the widest layers; a group whose rows are a whole part of it has as many more in a block."""
    size: int
    block_bytes: int
    groups: int

    def block_of(self, group: Group) -> int:
        return self.block if self.row % group.row_bytes else self.block * self.row // group.row_bytes


def _layout(found: tuple[Group, ...], block: int) -> _Layout:
    """Pages are as wide as the widest layer's; blocks are lengthened until the state of a linear layer fits into a page."""
    row = max(group.row_bytes for group in found)
    state = max(group.state_bytes for group in found)
    if row and state:
        block = max(block, -(-state // (row * BLOCK)) * BLOCK)
    size = _group_size([group.layers for group in found])
    page = max(row * block, state) * size + block * sum(group.beside_bytes for group in found)
    return _Layout(block, row, size, page, sum(-(-group.layers // size) for group in found))


def _group_size(layers: list[int]) -> int:
    """The rarest kind sets it, unless the commonest is not half as many again: then that one, and the rarest is padded."""
    return max(layers) if max(layers) < 1.5 * min(layers) else min(layers)


def _blocks_of_request(group: Group, layout: _Layout, length: int, step: int, states: int) -> int:
    """All block tables that a request of that length fills, of the groups that these layers are split into."""
    tables = -(-group.layers // layout.size)
    if group.state_bytes:
        return tables * states
    block = layout.block_of(group)
    if group.window:
        return tables * (-(-min(group.window - 1 + step, length) // block) + 1)
    return tables * -(-length // block)


def uncompressed(geometry: Geometry) -> Geometry:
    """The same model for an engine that does not know latent attention: keys and values of every head, padded to 256.

    vLLM before 0.7 did so (0.6.4 model_executor/models/deepseek_v2.py).
    """
    if not geometry.kv_lora_rank:
        return geometry
    return replace(geometry, kv_lora_rank=0, kv_heads=geometry.heads, key_length=PADDED_HEAD, value_length=PADDED_HEAD)
