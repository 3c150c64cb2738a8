"""Which layers of a model keep a growing cache, which a window of one, and which a state of fixed size."""

from collections.abc import Callable
from typing import NamedTuple

from provisioner.weights.fields import MOST_LAYERS, Fields, shown

FULL, SLIDING, LINEAR, BOTH, NEITHER = "full", "sliding", "linear", "both", "neither"

WORDS = {
    "full_attention": FULL, "attention": FULL, "global": FULL, "global_attention": FULL, "sparse_attention": FULL,
    "minimax_m3_sparse": FULL, "deepseek_sparse_attention": FULL,
    "sliding_attention": SLIDING, "chunked_attention": SLIDING, "local": SLIDING, "local_attention": SLIDING,
    "linear_attention": LINEAR, "mamba": LINEAR, "mamba2": LINEAR, "conv": LINEAR, "lightning_attention": LINEAR,
    "hybrid": BOTH, "moe": NEITHER, "mlp": NEITHER,
}  # fmt: skip
"""Of `layer_types` and `layers_block_type`; the list of transformers is `ALLOWED_ATTENTION_LAYER_TYPES` of its
`configuration_utils.py`. A layer of Falcon H1 has attention and a state space side by side (`hybrid`)."""

LETTERS = {"*": FULL, "M": LINEAR, "E": NEITHER, "-": NEITHER}
"""Of Nemotron H's `hybrid_override_pattern`: attention, Mamba, experts, feed-forward."""

WINDOWED = ("mistral", "ministral", "mixtral", "phi3", "phimoe", "starcoder2")
"""Types whose every layer has the window wherever `sliding_window` is a number."""


class Layers(NamedTuple):
    layers: int
    kv: int
    sliding: int
    linear: int
    window: int


def layers_of(fields: Fields, model_type: str) -> Layers:
    """Counted layer by layer; those that read the cache of another layer (Gemma 3n, Gemma 4) keep none themselves."""
    listed = fields.items("layers_block_type")
    layers = len(listed) if listed else fields.needed("num_hidden_layers", "n_layer", "n_layers", "num_layers")
    if layers > MOST_LAYERS:
        raise ValueError(f"`num_hidden_layers` is {layers}: no model has so many layers")
    kinds = _kinds(fields, model_type, layers)[:layers]
    own = kinds[: layers - fields.count("num_kv_shared_layers")]
    window = fields.count("sliding_window", "attention_chunk_size")
    sliding = own.count(SLIDING)
    if not sliding or window == 0 or window >= (fields.count("max_position_embeddings") or window + 1):
        sliding = window = 0
    kept = sum(kind in (FULL, SLIDING, BOTH) for kind in own)
    return Layers(layers, kept, sliding, sum(kind in (LINEAR, BOTH) for kind in kinds), window)


def _kinds(fields: Fields, model_type: str, layers: int) -> list[str]:
    for way in (_named, _lettered, _numbered, _picked, _every):
        found = way(fields, layers)
        if found is not None:
            return found
    return _windowed(fields, model_type, layers)


def _named(fields: Fields, layers: int) -> list[str] | None:
    items = fields.items("layer_types", "layers_block_type")
    if items is None:
        return None
    unknown = [item for item in items if not isinstance(item, str) or item not in WORDS]
    if unknown:
        raise ValueError(f"`layer_types` names {shown(unknown[0])}, a kind of layer that is not known here")
    if len(items) < layers:
        raise ValueError(f"`layer_types` names {len(items)} layers of {layers}")
    return [WORDS[str(item)] for item in items]


def _lettered(fields: Fields, layers: int) -> list[str] | None:
    pattern = fields.text("hybrid_override_pattern")
    if not pattern:
        return None
    if len(pattern) != layers or set(pattern) - set(LETTERS):
        raise ValueError(f"`hybrid_override_pattern` is {shown(pattern)}, which does not name {layers} known layers")
    return [LETTERS[letter] for letter in pattern]


def _numbered(fields: Fields, layers: int) -> list[str] | None:
    """Lists of 0 and 1: MiniMax's `attn_type_list` (1 is full), MiMo's `hybrid_layer_pattern` (1 is sliding)."""
    for name, kinds in (("attn_type_list", (LINEAR, FULL)), ("hybrid_layer_pattern", (FULL, SLIDING))):
        items = fields.items(name)
        if items is not None:
            if len(items) < layers or any(item not in (0, 1) for item in items):
                raise ValueError(f"`{name}` does not say 0 or 1 for each of {layers} layers")
            return [kinds[int(item == 1)] for item in items]
    return None


def _picked(fields: Fields, layers: int) -> list[str] | None:
    """Layers with full attention picked by number: Kimi Linear counts from 1, the others from 0."""
    kimi = fields.table("linear_attn_config").items("full_attn_layers")
    if kimi is not None:
        return _only(kimi, layers, 1)
    picked = fields.items("attn_layer_indices", "full_attn_idxs")
    if picked is not None:
        return _only(picked, layers, 0)
    period = fields.count("attn_layer_period")
    if period:
        offset = fields.count("attn_layer_offset")
        return [FULL if layer % period == offset else LINEAR for layer in range(layers)]
    return None


def _only(picked: tuple[object, ...], layers: int, first: int) -> list[str]:
    if any(not isinstance(number, int) or not first <= number < layers + first for number in picked):
        raise ValueError(f"the list of layers with full attention names one that is not among {layers}")
    return [FULL if layer + first in picked else LINEAR for layer in range(layers)]


def _every(fields: Fields, layers: int) -> list[str] | None:
    """One full layer, then so many others, over and over."""
    interval = fields.count("full_attention_interval")
    if interval:
        return _repeated(layers, lambda layer: LINEAR if (layer + 1) % interval else FULL)
    text = fields.text("sliding_window_pattern")
    if text and not set(text.upper()) - {"L", "G"}:
        return _repeated(layers, lambda layer: SLIDING if text[layer % len(text)].upper() == "L" else FULL)
    pattern = 0 if text else fields.count("sliding_window_pattern", "_sliding_window_pattern")
    if pattern and fields.count("sliding_window", "attention_chunk_size"):
        return _repeated(layers, lambda layer: SLIDING if (layer + 1) % pattern else FULL)
    return None


def _repeated(layers: int, kind: Callable[[int], str]) -> list[str]:
    return [kind(layer) for layer in range(layers)]


def _windowed(fields: Fields, model_type: str, layers: int) -> list[str]:
    """Qwen 2 and 3 name a window that only `use_sliding_window` puts to work, from `max_window_layers` on."""
    if fields.flag("use_sliding_window"):
        first = fields.count("max_window_layers")
        return [FULL] * min(first, layers) + [SLIDING] * max(0, layers - first)
    if model_type in WINDOWED and fields.count("sliding_window"):
        return [SLIDING] * layers
    return [FULL] * layers
