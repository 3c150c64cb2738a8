"""The shape of a model from the keys of its GGUF, as llama.cpp reads them for each architecture.

Keys as in `gguf-py/gguf/constants.py`, what they mean as in `src/llama-hparams.cpp` and `src/models/*.cpp` of
https://github.com/ggml-org/llama.cpp (01b77b5, 82234e0).
"""

from collections.abc import Iterable, Mapping

from provisioner.model.catalog import Geometry
from provisioner.model.weights import TensorBytes

Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...]

PERIODS = {
    "gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "gpt-oss": 2, "exaone4": 4, "llama4": 4, "olmo2": 4,
}  # fmt: skip
"""Of how many layers one sees everything, where the file says nothing; architectures that are not here ignore the window."""
WINDOWS = {"gemma2": 4096, "llama4": 8192}
STATE_VALUE = 4
"""llama.cpp keeps the states of layers without a cache in float32."""

ENDS = (
    ("small", ("exp_probs_b", "ffn_gate_inp", "ffn_gate_inp_shexp", "attn_sinks", "layer_output_scale")),
    ("experts", ("exps",)),
    ("shared_experts", ("shexp",)),
)
STARTS = (
    ("latent", ("attn_q_a", "attn_kv_a", "indexer")),
    ("dense", ("ffn_",)),
    ("attention", ("attn_", "ssm_", "shortconv", "time_mix", "kda")),
)
TOPS = {
    "token_embd": "embedding",
    "per_layer_token_embd": "embedding",
    "position_embd": "embedding",
    "output": "output",
}
TOWERS = ("v.", "a.", "mm.", "resampler.")


class Keys:
    """The keys of one architecture; a count that is not there is 0."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        named = values.get("general.architecture", "")
        self.architecture = named if isinstance(named, str) else ""
        self.values = values

    def value(self, key: str) -> Value | None:
        return self.values.get(f"{self.architecture}.{key}")

    def count(self, key: str, otherwise: int = 0) -> int:
        """A number; of an array with one for each layer the largest."""
        value = self.value(key)
        if isinstance(value, tuple):
            return max((item for item in value if isinstance(item, int)), default=otherwise)
        return value if isinstance(value, int) else otherwise

    def each(self, key: str) -> tuple[Scalar, ...] | None:
        value = self.value(key)
        return value if isinstance(value, tuple) else None

    @property
    def layers(self) -> int:
        """Without those of the drafter, which come last and are counted among the blocks."""
        return max(0, self.count("block_count") - self.count("nextn_predict_layers"))


def kv_layers(keys: Keys) -> int:
    """Hybrid models say it by a 0 for layers without attention, or by the interval of those with it."""
    each = keys.each("attention.head_count_kv")
    own = keys.layers - keys.count("attention.shared_kv_layers")
    if each is not None:
        return sum(1 for item in each[: max(0, own)] if item)
    interval = keys.count("full_attention_interval")
    return keys.layers // interval if interval > 0 else max(0, own)


def geometry_of(keys: Keys, heads: int, vocab: int, tied: bool) -> Geometry:
    """What planning needs of the keys; `heads` and `vocab` as the header's reader found them."""
    latent = _is_latent(keys)
    experts = keys.count("expert_count")
    window, sliding = _sliding(keys)
    kept = kv_layers(keys)
    linear = keys.layers - kept if keys.count("ssm.conv_kernel") or keys.count("shortconv.l_cache") else 0
    width = keys.count("embedding_length") // heads if heads else 0
    return Geometry(
        kind=_kind("moe" if experts else "dense", "mla" if latent else _grouping(keys, heads), sliding > 0, linear > 0),
        layers=keys.layers,
        kv_layers=kept,
        hidden=keys.count("embedding_length"),
        feed_forward=_dense_width(keys, experts),
        heads=heads,
        kv_heads=1 if latent else keys.count("attention.head_count_kv", heads),
        key_length=keys.count("attention.key_length_mla") if latent else keys.count("attention.key_length", width),
        value_length=keys.count("attention.value_length_mla")
        if latent
        else keys.count("attention.value_length", width),
        vocab=vocab,
        kv_lora_rank=keys.count("attention.kv_lora_rank") if latent else 0,
        rope_dimensions=keys.count("rope.dimension_count") if latent else 0,
        q_lora_rank=keys.count("attention.q_lora_rank"),
        experts=experts,
        experts_used=keys.count("expert_used_count"),
        shared_experts=_shared(keys) if experts else 0,
        expert_feed_forward=_expert_width(keys) if experts else 0,
        dense_layers=keys.count("leading_dense_block_count") if experts else 0,
        sliding_window=window,
        sliding_layers=sliding,
        tied_embeddings=tied,
        linear_layers=linear,
        linear_state_bytes=_state_bytes(keys) if linear else 0,
        index_dimensions=keys.count("attention.indexer.key_length"),
        index_heads=keys.count("attention.indexer.head_count"),
        draft_layers=keys.count("nextn_predict_layers"),
    )


def _is_latent(keys: Keys) -> bool:
    """Older files of DeepSeek have the compressed rank too, but keep whole keys and values for every head."""
    row = keys.count("attention.kv_lora_rank") + keys.count("rope.dimension_count")
    compressed = keys.count("attention.key_length_mla") > 0 or keys.count("attention.key_length") == row
    return keys.count("attention.kv_lora_rank") > 0 and compressed


def _sliding(keys: Keys) -> tuple[int, int]:
    """The window and how many layers that keep a cache have it."""
    window = keys.count("attention.sliding_window", WINDOWS.get(keys.architecture, 0))
    pattern = keys.value("attention.sliding_window_pattern")
    kept = keys.layers - keys.count("attention.shared_kv_layers")
    if isinstance(pattern, tuple):
        count = sum(1 for item in pattern[: max(0, kept)] if item)
    else:
        period = pattern if isinstance(pattern, int) and pattern > 0 else PERIODS.get(keys.architecture, 0)
        count = (
            sum(1 for layer in range(max(0, kept)) if layer % period < period - 1)
            if 0 < kept < 1 << 16 and period
            else 0
        )
    return (window, count) if window and count and window < keys.count("context_length", window + 1) else (0, 0)


def _dense_width(keys: Keys, experts: int) -> int:
    """Of layers without experts; mixtures name it although all of their layers have experts."""
    return keys.count("feed_forward_length") if not experts or keys.count("leading_dense_block_count") else 0


def _expert_width(keys: Keys) -> int:
    return keys.count("expert_feed_forward_length") or keys.count("feed_forward_length")


def _shared(keys: Keys) -> int:
    """Counted in widths of one expert."""
    wide, width = keys.count("expert_shared_feed_forward_length"), _expert_width(keys)
    return -(-wide // width) if wide and width else keys.count("expert_shared_count")


def _state_bytes(keys: Keys) -> int:
    """`n_embd_r` and `n_embd_s` of llama-hparams.cpp."""
    if keys.count("shortconv.l_cache"):
        return STATE_VALUE * (keys.count("shortconv.l_cache") - 1) * keys.count("embedding_length")
    inner, state = keys.count("ssm.inner_size"), keys.count("ssm.state_size")
    window = max(0, keys.count("ssm.conv_kernel") - 1)
    return STATE_VALUE * (window * (inner + 2 * keys.count("ssm.group_count") * state) + state * inner)


def _grouping(keys: Keys, heads: int) -> str:
    return "mha" if keys.count("attention.head_count_kv", heads) == heads else "gqa"


def _kind(feed: str, attention: str, sliding: bool, linear: bool) -> str:
    if linear:
        return f"{feed}-hybrid-ssm"
    return f"{feed}-{attention}{'-swa' if sliding else ''}"


def kind_of(name: str, layers: int) -> str:
    """Which field of `TensorBytes` a tensor counts for, by llama.cpp's names (`MODEL_TENSOR` in gguf's constants)."""
    if name.startswith(TOWERS):
        return "vision"
    first, _, rest = name.partition(".")
    if first != "blk":
        return TOPS.get(first, "small")
    number, _, rest = rest.partition(".")
    if rest.startswith("nextn.") or (number.isdecimal() and layers and int(number[:6]) >= layers):
        return "draft"
    word = rest.removesuffix(".weight").removesuffix(".bias")
    if "norm" in word:
        return "small"
    for kind, ends in ENDS:
        if word.endswith(ends):
            return kind
    return next((kind for kind, starts in STARTS if word.startswith(starts)), "small")


def bytes_by_kind(tensors: Iterable[tuple[str, int]], layers: int) -> TensorBytes:
    sums: dict[str, int] = {}
    for name, size in tensors:
        kind = kind_of(name, layers)
        sums[kind] = sums.get(kind, 0) + size
    return TensorBytes(**sums)
