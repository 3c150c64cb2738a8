"""The cache of compressed sparse attention (DeepSeek V4) as vLLM lays it out: windows, rows of compressed tokens, states of compressors.

Every layer keeps a window of tokens as they are. One that compresses keeps beside it a row for each 4 tokens, with a key for its
indexer, or a row for each 128, and for each of these a state from which the next row will come. Nothing of it is cut over tensor
parallelism. Read from vLLM 0.32.0: models/deepseek_v4 attention.py and compressor.py, v1/attention/backends/mla/sparse_swa.py,
v1/core/kv_cache_utils.py `_get_packed_kv_cache_groups`; the same in 0.27.1 and 0.29.0 but for `padded`.
"""

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass

LIGHT, HEAVY = 4, 128
"""Tokens of one row."""

BLOCK = 256
"""Tokens of one block of rows, where nobody asks for another: what the backend prefers (`get_preferred_block_size`)."""

WINDOW_BLOCK, LIGHT_BLOCK, HEAVY_BLOCK = 64, 4, 8
"""Tokens of a block of windows and of the compressors' states."""

ALIGNED = 576
"""A page is a multiple of this (`fp8_ds_mla`)."""

SCALES = 8
"""Bytes of a row's scales: one for 64 of the values that are kept in 8 bits, and one to fill up."""

INDEX_SCALE = 4


@dataclass(frozen=True, slots=True)
class Kind:
    """Layers whose blocks are counted together: `tables` of them, each with so many bytes in a block on the rank."""

    tables: int
    block_bytes: int
    block: int
    window: int = 0
    """Tokens kept; 0 for all."""

    def blocks(self, context: int, in_flight: int) -> int:
        """That one request fills in all its tables, with what is computed before the oldest tokens are let go."""
        if not self.window:
            return self.tables * -(-context // self.block)
        return self.tables * (-(-min(self.window - 1 + in_flight, context) // self.block) + 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """One pool of equal blocks, as wide as the widest kind's."""

    kinds: tuple[Kind, ...]
    padded_bytes: int
    """Of the block that releases before 0.29 hold a request against: as many pages of each size as of the commonest."""

    @property
    def block_bytes(self) -> int:
        return max(kind.block_bytes for kind in self.kinds)

    def blocks(self, context: int, in_flight: int) -> int:
        return sum(kind.blocks(context, in_flight) for kind in self.kinds)


def growing_bytes(geometry: Geometry, degrees: Degrees, stage: int | None = None) -> int:
    """One token in all layers that keep every token."""
    return -(-_rows(geometry, degrees, stage, BLOCK) // BLOCK)


def layout(geometry: Geometry, degrees: Degrees, block: int, stage: int | None = None) -> Layout:
    """The kinds are those of the whole model; a stage has its share of their layers."""
    block = block if block >= HEAVY else BLOCK
    key, index = geometry.key_length, geometry.index_dimensions
    light, heavy, windows = geometry.index_layers, geometry.heavy_layers, geometry.kv_layers
    repeats = _repeats(light, heavy, windows)
    window_tables, heavy_tables = -(-windows // repeats), -(-heavy // repeats)

    def held(layers: int, tables: int, page: int) -> int:
        return -(-degrees.on_stage(layers, geometry.layers, stage) // tables) * page

    window_page = _page(WINDOW_BLOCK * _row(geometry))
    light_page = _page(LIGHT_BLOCK * _state(key, LIGHT)) + _page(LIGHT_BLOCK * _state(index, LIGHT))
    heavy_page = _page(HEAVY_BLOCK * _state(key, HEAVY))
    kinds = (
        Kind(1, _rows(geometry, degrees, stage, block), block),
        Kind(window_tables, held(windows, window_tables, window_page), WINDOW_BLOCK, geometry.sliding_window),
        Kind(1, held(light, 1, light_page), LIGHT_BLOCK, 2 * LIGHT),
        Kind(heavy_tables, held(heavy, heavy_tables, heavy_page), HEAVY_BLOCK, HEAVY),
    )
    longest = max(degrees.on_stage(max(light, heavy), geometry.layers, stage), held(windows, window_tables, 1))
    return Layout(kinds, longest * sum(_row_pages(geometry, block)))


def _rows(geometry: Geometry, degrees: Degrees, stage: int | None, block: int) -> int:
    light, heavy, index = _row_pages(geometry, block)
    with_index, without = (
        degrees.on_stage(layers, geometry.layers, stage) for layers in (geometry.index_layers, geometry.heavy_layers)
    )
    return with_index * (light + index) + without * heavy


def _row_pages(geometry: Geometry, block: int) -> tuple[int, int, int]:
    """Of rows for 4 tokens, of rows for 128, and of indexers' keys."""
    row, key = _row(geometry), geometry.index_dimensions + INDEX_SCALE
    return _page(block // LIGHT * row), _page(block // HEAVY * row), _page(block // LIGHT * key)


def _row(geometry: Geometry) -> int:
    """In 8 bits, but for the rotated values, which stay in 16."""
    return geometry.key_length + geometry.rope_dimensions + SCALES


def _state(values: int, ratio: int) -> int:
    """A value and its score in 32 bits; rows for 4 tokens overlap, so their states are of two."""
    return (2 if ratio == LIGHT else 1) * values * 2 * 4


def _page(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def _repeats(light: int, heavy: int, windows: int) -> int:
    """Layers of one table of windows, or of states: those that leave the fewest places empty, and no fewer than have an indexer."""
    counts = (windows, light, heavy, *((light,) if light == heavy else ()))
    return min(range(light, max(counts) + 1), key=lambda each: (sum(-count % each for count in counts), -each))
