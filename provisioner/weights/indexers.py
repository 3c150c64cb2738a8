"""The indexers of sparse attention, which choose the tokens that a layer looks at and keep one key for each of them."""

from typing import NamedTuple

from provisioner.weights.fields import Fields


class Index(NamedTuple):
    dimensions: int = 0
    heads: int = 0
    layers: int = 0
    """Layers with an indexer of their own; 0 where all have."""


def index_of(fields: Fields) -> Index:
    """DeepSeek V3.2, V4 and GLM 5 say `index_…`, MiniMax M3 has a table of its own."""
    table = fields.table("sparse_attention_config")
    dimensions = fields.count("index_head_dim") or table.count("sparse_index_dim")
    if not dimensions:
        return Index()
    return Index(
        dimensions, fields.count("index_n_heads") or table.count("sparse_num_index_heads"), _own(fields, table)
    )


RATIOS = (0, 1, 4, 128)
"""Tokens of one row in layers of DeepSeek V4 (`compress_ratios`), where up to 1 is a layer with a window alone."""


def heavy_layers(fields: Fields, index: Index, layers: int) -> int:
    """Of so many, those that compress 128 tokens into one row; 0 as well for what is not laid out as V4 is, of which nothing is known."""
    ratios = fields.items("compress_ratios") or ()
    if not all(type(ratio) is int and ratio in RATIOS for ratio in ratios):
        return 0
    light, heavy = ratios.count(4), ratios.count(128)
    alike = light and light == index.layers and light + heavy <= layers and fields.count("sliding_window")
    return heavy if alike else 0


def _own(fields: Fields, table: Fields) -> int:
    """GLM 5.2 lets layers share one, V4 has one where it compresses by four, M3 where attention is sparse."""
    kinds = fields.items("indexer_types")
    if kinds is not None:
        return kinds.count("full")
    ratios = fields.items("compress_ratios")
    if ratios is not None:
        return ratios.count(4)
    return (table.items("sparse_attention_freq") or ()).count(1)
