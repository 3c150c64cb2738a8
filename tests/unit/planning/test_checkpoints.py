"""What a checkpoint weighs from the model's shape, against what engines have logged and hubs have published."""

import pytest

from provisioner.catalog import load_catalog
from provisioner.model.load import Degrees
from provisioner.planning.memory.checkpoints import checkpoint_bytes, checkpoint_of, draft_bytes, parameters, parts
from provisioner.planning.memory.kv import groups

CATALOG = load_catalog()
GIB = 2**30

LOADED = (
    ("qwen2.5-7b-instruct", "awq", 5.29),
    ("qwen3-14b", "bf16", 27.52),
    ("qwen3-14b", "awq", 9.44),
    ("qwen3-32b", "bf16", 61.03),
    ("qwen3-30b-a3b", "bf16", 4 * 14.2474),
    ("mistral-7b-instruct-v0.2", "gptq", 3.8844),
    ("granite-4.0-micro", "fp8", 3.4244),
    ("llama-3-8b-instruct", "bf16", 14.96),
    ("llama-3.1-8b-instruct", "bf16", 14.9888),
    ("llama-3.3-70b-instruct", "fp8", 67.72),
    ("llama-3.1-70b-instruct", "int8", 67.7229),
    ("gpt-oss-20b", "mxfp4", 12.8848),
)
"""GiB of weights that vLLM has logged in public reports (vllm#10511, #10517, #12569, #17469, #22331; llm-d-incubation/
llm-d-planner @e50305a docs/empirical-vllm-memory-results.md; others). Engines repack 4-bit weights, which costs up to 2 %."""


@pytest.mark.parametrize(("name", "precision", "gib"), LOADED)
def test_engines_load_as_much(name: str, precision: str, gib: float) -> None:
    shape = CATALOG.model(name).architecture
    assert checkpoint_bytes(shape, precision) / GIB == pytest.approx(gib, rel=0.021)


@pytest.mark.parametrize(
    "name", ["llama-3.3-70b-instruct", "deepseek-r1", "qwen3.6-27b", "gpt-oss-20b", "starcoder2-7b"]
)
def test_fewer_bits_weigh_less(name: str) -> None:
    shape = CATALOG.model(name).architecture
    sizes = [checkpoint_bytes(shape, each) for each in ("fp32", "bf16", "fp8", "awq", "w4a16")]
    assert sizes == sorted(sizes, reverse=True)


def test_blocks_of_fp8_have_a_scale_of_four_bytes_for_128_by_128_values() -> None:
    shape = CATALOG.model("qwen3-32b").architecture
    known = parts(shape)
    values = known.attention + known.dense
    assert checkpoint_bytes(shape, "fp8_block128") == values + values // 4096 + 2 * (known.tables + known.rest)


def test_quantization_from_training_touches_the_experts_only() -> None:
    shape = CATALOG.model("kimi-k2-thinking").architecture
    known = parts(shape)
    others = known.total - known.experts
    assert checkpoint_bytes(shape, "int4") == 2 * others + known.experts * 9 // 16


def test_without_experts_every_matrix_is_quantized() -> None:
    shape = CATALOG.model("qwen3-32b").architecture
    assert checkpoint_bytes(shape, "mxfp4") < checkpoint_bytes(shape, "fp8") * 0.6


def test_the_drafter_of_deepseek_v3_has_fourteen_billion_parameters() -> None:
    """README_WEIGHTS.md of deepseek-ai/DeepSeek-V3: 14 B in all."""
    shape = CATALOG.model("deepseek-v3").architecture
    assert draft_bytes(shape, "bf16") // 2 == pytest.approx(14e9, rel=0.05)
    assert draft_bytes(CATALOG.model("qwen3-32b").architecture, "bf16") == 0


def test_a_published_size_goes_before_the_arithmetic() -> None:
    entry = CATALOG.model("deepseek-r1")
    published = checkpoint_of(entry, "fp8_block128")
    assert published is not None
    assert published.bytes == 688_586_727_753
    assert published.exact


def test_the_files_in_one_kind_of_16_bits_serve_the_other() -> None:
    entry = CATALOG.model("qwen2.5-7b-instruct")
    assert entry.checkpoint("fp16") is None
    found = checkpoint_of(entry, "fp16")
    assert found is not None
    assert (found.precision, found.repositories) == ("fp16", entry.repositories)


def test_what_nobody_published_is_computed_and_says_so() -> None:
    entry = CATALOG.model("llama-2-13b")
    assert entry.checkpoint("int8") is None
    computed = checkpoint_of(entry, "int8")
    assert computed is not None
    assert not computed.exact
    assert not computed.verified
    assert computed.bytes == checkpoint_bytes(entry.architecture, "int8")


def test_a_shape_that_is_not_the_whole_model_is_scaled_to_its_parameters() -> None:
    entry = CATALOG.model("deepseek-v4-flash")
    assert abs(parameters(entry.architecture) / entry.parameters - 1) > 0.02
    computed = checkpoint_of(entry, "bf16")
    assert computed is not None
    assert computed.bytes == pytest.approx(2 * entry.parameters, rel=0.001)


def test_there_is_no_checkpoint_in_a_precision_that_nobody_knows() -> None:
    assert checkpoint_of(CATALOG.model("qwen3-32b"), "q4_k_m") is None
    assert checkpoint_of(CATALOG.model("qwen3.8-2.4t-a95b"), "awq") is None


def test_sliding_layers_may_have_heads_of_their_own() -> None:
    """Gemma 4 31B: 30.697 B parameters in the metadata of its GGUF; four wide heads in ten layers, sixteen in fifty."""
    shape = CATALOG.model("gemma-4-31b-it").architecture
    assert parameters(shape) == pytest.approx(30.697e9, rel=1e-4)
    full, sliding = groups(shape, Degrees(tensor=2))
    assert (full.layers, full.row_bytes) == (10, 2 * (512 + 512) * 2)
    assert (sliding.layers, sliding.row_bytes, sliding.window) == (50, 8 * (256 + 256) * 2, 1024)


def test_nvfp4_leaves_what_drafts_as_it_was() -> None:
    """`model.layers.61*` of nvidia/DeepSeek-V3-0324-NVFP4 (ai-dynamo/aiconfigurator @6d449da); the hub counts 397B elements in
    nvidia/DeepSeek-R1-NVFP4, each scale and each pair of values being one. nvidia/Qwen3-Next-80B-A3B-Thinking-NVFP4 has 50.8 GB.
    """
    shape = CATALOG.model("deepseek-v3.1").architecture
    known = parts(shape)
    elements = (known.experts + known.dense) * (1 / 2 + 1 / 16) + known.attention + known.tables + known.rest
    assert draft_bytes(shape, "nvfp4") == draft_bytes(shape, "bf16")
    assert elements + draft_bytes(shape, "nvfp4") / 2 == pytest.approx(397e9, rel=0.002)
    hybrid = CATALOG.model("qwen3-next-80b-a3b").architecture
    assert checkpoint_bytes(hybrid, "nvfp4") + draft_bytes(hybrid, "nvfp4") == pytest.approx(50.8e9, rel=0.012)


def test_nvfp4_of_deepseek_v4_has_all_but_its_experts_in_eight_bits() -> None:
    shape = CATALOG.model("deepseek-v4-flash").architecture
    more = checkpoint_bytes(shape, "nvfp4") - checkpoint_bytes(shape, "mxfp4_fp8")
    assert more == pytest.approx(parts(shape).experts / 32, rel=1e-6)
    assert draft_bytes(shape, "nvfp4") == draft_bytes(shape, "mxfp4_fp8")
    original, theirs = (CATALOG.model("deepseek-v4-flash").checkpoint(name) for name in ("mxfp4_fp8", "nvfp4"))
    assert original is not None
    assert theirs is not None
    assert theirs.bytes - original.bytes == parts(shape).experts // 32


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [
        # The hub's own totals, of three digits: the pages that the catalog names as their source.
        ("llama-3.1-70b-instruct", 72.7),
        ("deepseek-r1-distill-llama-8b", 9.08),
    ],
)
def test_int8_by_channel_is_as_large_as_the_hub_says(name: str, gigabytes: float) -> None:
    entry = CATALOG.model(name)
    assert checkpoint_bytes(entry.architecture, "int8") / 1e9 == pytest.approx(gigabytes, rel=0.001)
