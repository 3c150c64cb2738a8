"""The models of the catalog against arithmetic: parameters, checkpoints, cache, degrees, and what their sources say."""

import math

import pytest

from provisioner.catalog import load_catalog
from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.planning.memory import kv
from provisioner.planning.memory.checkpoints import COMPUTED, SCHEMES, checkpoint_bytes, draft_bytes, parameters

CATALOG = load_catalog()
MODELS = sorted(CATALOG.models)
WHOLE = [name for name in MODELS if CATALOG.model(name).architecture.hidden]
COUNTED = [name for name in WHOLE if not CATALOG.model(name).parameters_rounded]
ROUNDED = [name for name in WHOLE if CATALOG.model(name).parameters_rounded]
DOUBTFUL = ("from memory", "not verified", "unverified")

HUB_COUNTS = {
    "deepseek-r1-distill-qwen-7b": 7_615_616_512,
    "gemma-2-9b-it": 9_241_705_984,
    "gemma-2-27b-it": 27_227_128_320,
    "glm-4.7-flash": 29_943_393_920,
    "llama-3.1-70b-instruct": 70_553_706_496,
    "llama-3.2-1b-instruct": 1_235_814_400,
    "mistral-7b-instruct-v0.3": 7_248_023_552,
    "mixtral-8x22b-instruct": 140_630_071_296,
    "mixtral-8x7b-instruct": 46_702_792_704,
    "qwen2.5-72b-instruct": 72_706_203_648,
    "qwen2.5-vl-3b-instruct": 3_754_622_976,
    "qwen3-235b-a22b": 235_093_634_560,
    "qwen3-coder-480b-a35b": 480_154_875_392,
    "yi-34b-chat": 34_388_917_248,
}
"""The hub's own counts (AlexsJones/llmfit @026ac57 hf_models.json)."""

HUB_COUNTS_WITH_DRAFTER = {
    "qwen3-next-80b-a3b": 81_324_862_720,
    "qwen3.6-27b": 27_781_427_952,
    "qwen3.6-35b-a3b": 35_951_822_704,
    "qwen3.5-122b-a10b": 125_086_497_008,
    "qwen3.5-397b-a17b": 403_397_928_944,
}
"""The same source; those of Qwen3.6 are counts of the Qwen3.5 models of the same shape."""

SIZES_OF_FILES = (
    ("deepseek-v3", "fp8_block128"),
    ("qwen3.8-27b", "fp8_block128"),
    ("gpt-oss-20b", "mxfp4"),
    ("gpt-oss-120b", "mxfp4"),
    ("minimax-m2.7", "fp8_block128"),
)
"""Checkpoints whose size was published, and is not what the arithmetic gave."""


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_follow_from_the_architecture(name: str) -> None:
    model = CATALOG.model(name)
    assert parameters(model.architecture) == model.parameters


@pytest.mark.parametrize("name", ROUNDED)
def test_rounded_parameters_are_near(name: str) -> None:
    model = CATALOG.model(name)
    assert parameters(model.architecture) == pytest.approx(model.parameters, rel=0.03)


@pytest.mark.parametrize("name", HUB_COUNTS)
def test_the_hub_counts_the_same(name: str) -> None:
    assert parameters(CATALOG.model(name).architecture) == HUB_COUNTS[name]


@pytest.mark.parametrize("name", HUB_COUNTS_WITH_DRAFTER)
def test_the_hub_counts_the_same_with_the_drafter(name: str) -> None:
    shape = CATALOG.model(name).architecture
    with_drafter = parameters(shape) + draft_bytes(shape, "bf16") // 2
    assert with_drafter == pytest.approx(HUB_COUNTS_WITH_DRAFTER[name], rel=2e-7)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_checkpoint_with_a_source(name: str) -> None:
    model = CATALOG.model(name)
    assert model.checkpoints or model.gguf
    assert len({(one.precision, one.vendors) for one in model.checkpoints}) == len(model.checkpoints)
    for one in model.checkpoints:
        assert one.source.strip()
        assert one.bytes > 0
        assert one.precision in SCHEMES
        assert not (one.exact and one.source.startswith(COMPUTED))


@pytest.mark.parametrize("name", COUNTED)
def test_computed_checkpoints_are_what_the_arithmetic_gives(name: str) -> None:
    model = CATALOG.model(name)
    for one in model.checkpoints:
        if one.source.startswith(COMPUTED):
            whole = checkpoint_bytes(model.architecture, one.precision)
            assert one.bytes == whole + draft_bytes(model.architecture, one.precision), one.precision


@pytest.mark.parametrize(("name", "precision"), SIZES_OF_FILES)
def test_published_sizes_agree_with_the_arithmetic(name: str, precision: str) -> None:
    model = CATALOG.model(name)
    published = model.checkpoint(precision)
    assert published is not None
    assert not published.source.startswith(COMPUTED)
    computed = checkpoint_bytes(model.architecture, precision) + draft_bytes(model.architecture, precision)
    assert computed == pytest.approx(published.bytes, rel=0.005)


@pytest.mark.parametrize("name", WHOLE)
def test_a_checkpoint_is_as_large_as_its_bits(name: str) -> None:
    """Between what all values would take in its bits and what they would take in 16, whatever is quantized."""
    model = CATALOG.model(name)
    for one in model.checkpoints:
        bits = 8 * one.bytes / (model.parameters + draft_bytes(model.architecture, "bf16") // 2)
        assert 3.9 < bits < 16.6, one.precision
        if one.precision in ("fp8", "fp8_block128", "int8"):
            assert 8 <= bits < 14, one.precision


@pytest.mark.parametrize("name", MODELS)
def test_the_cache_agrees_with_the_published_figures(name: str) -> None:
    model = CATALOG.model(name)
    for label, published in model.kv_bytes_per_token.items():
        dtype = "bf16" if label.endswith("bf16") else label
        assert kv.bytes_per_token(model.architecture, Degrees(), dtype) == published, label


@pytest.mark.parametrize("name", WHOLE)
def test_the_tensor_parallel_tables_keep_the_rules(name: str) -> None:
    model = CATALOG.model(name)
    for label, sizes in model.parallel.items():
        step = {"tensor": 1, "tensor_fp8_refined": 32}.get(label, 128)
        valid = tuple(size for size in range(1, max(33, sizes[-1] + 1)) if _divides(model.architecture, size, step))
        if model.native.startswith("mxfp4"):
            assert set(sizes) <= set(valid), label
        else:
            assert sizes == valid, label


def _divides(shape: Geometry, size: int, step: int) -> bool:
    """Heads, key and value heads (cut or replicated), columns, and the vocabulary padded to 64."""
    heads = shape.heads % size == 0 and max(shape.kv_heads, size) % min(shape.kv_heads, size) == 0
    widths = [width for width in (shape.feed_forward, shape.expert_feed_forward) if width]
    columns = all(width % size == 0 for width in widths)
    vocabulary = math.ceil(shape.vocab / 64) * 64 % size == 0
    quantized = shape.expert_feed_forward or shape.feed_forward
    return heads and columns and vocabulary and quantized // size % step == 0


@pytest.mark.parametrize("name", MODELS)
def test_what_comes_from_memory_is_flagged(name: str) -> None:
    model = CATALOG.model(name)
    if any(word in model.source for word in DOUBTFUL):
        assert not model.verified
    for one in model.checkpoints:
        if any(word in one.source for word in DOUBTFUL):
            assert not one.verified, one.precision
    for offer in model.gguf:
        if any(word in offer.source for word in DOUBTFUL):
            assert not offer.exact, offer.precision


@pytest.mark.parametrize("name", WHOLE)
def test_the_layers_add_up(name: str) -> None:
    shape = CATALOG.model(name).architecture
    if shape.kind == "encoder":
        assert shape.kv_layers == 0
    else:
        assert shape.kv_layers + shape.linear_layers == shape.layers
    assert shape.sliding_layers <= shape.kv_layers
    assert bool(shape.sliding_layers) <= bool(shape.sliding_window)
    assert shape.dense_layers == 0 or shape.experts
    assert shape.experts_used <= shape.experts
    assert bool(shape.linear_layers) == bool(shape.linear_state_bytes)
