"""A model's shape from its own `config.json`: real files of makers, held against what the catalog knows of the same models."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.catalog import Catalog, load_catalog
from provisioner.model.catalog import Geometry, ModelEntry
from provisioner.model.weights import ConfigFacts, TensorBytes
from provisioner.planning.memory.checkpoints import parameters
from provisioner.weights.hfconfig import facts_of_config, geometry_of_config
from provisioner.weights.tensorkinds import kind_of

FILES = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "configs").glob("*.json"))}
SAME_SHAPE = {
    "meta-llama-3.1-8b": "llama-3.1-8b-instruct",
    "meta-llama-3.1-70b": "llama-3.3-70b-instruct",
    "meta-llama-3.1-405b": "llama-3.1-405b",
    "qwen3-30b-a3b-fp8": "qwen3-30b-a3b",
}
"""Siblings of an entry: only their training or their precision differs."""


def facts(name: str) -> ConfigFacts:
    return facts_of_config(FILES[name]["config"], FILES[name].get("hf_quant_config"))


def entry_of(books: Catalog, name: str) -> ModelEntry | None:
    if name in SAME_SHAPE:
        return books.model(SAME_SHAPE[name])
    entries = (books.model(one) for one in books.models)
    return next((one for one in entries if FILES[name]["repository"] in one.repositories.values()), None)


OTHERWISE = ("linear_parameters", "parameters_outside_layers")
"""What is compared by itself, and what only the headers of the weights tell."""
UNUSED = {"llama-4-scout-17b-16e-instruct": {"feed_forward": 16384}}
"""What the catalog says of a part that the model has none of."""
BOOKS = load_catalog()
SHARED = {name: entry for name in FILES if (entry := entry_of(BOOKS, name)) is not None}


def test_the_catalog_and_the_files_meet() -> None:
    assert len(SHARED) >= 20
    assert {"qwen3-32b", "deepseek-r1", "gpt-oss-20b", "meta-llama-3.1-8b", "kimi-k2-instruct"} <= SHARED.keys()


@pytest.mark.parametrize("name", SHARED)
def test_a_file_gives_what_the_catalog_says_of_the_same_model(name: str) -> None:
    entry = SHARED[name]
    said = cast(Mapping[str, Any], BOOKS.models[entry.id])["architecture"]
    found = facts(name)
    assert found.known
    same = {
        key: value for key, value in said.items() if key not in OTHERWISE and value != UNUSED.get(name, {}).get(key)
    }
    assert {key: getattr(found.geometry, key) for key in same} == same
    assert found.geometry.linear_parameters == pytest.approx(said.get("linear_parameters", 0), rel=1e-4)
    assert found.context == entry.context


def kv_bytes(geometry: Geometry) -> int:
    """Of one token in 16 bits, on one device that holds the whole model."""
    if geometry.kv_lora_rank:
        return geometry.kv_layers * (geometry.kv_lora_rank + geometry.rope_dimensions) * 2
    return geometry.kv_layers * geometry.kv_heads * (geometry.key_length + geometry.value_length) * 2


@pytest.mark.parametrize("name", [name for name, entry in SHARED.items() if "bf16" in entry.kv_bytes_per_token])
def test_the_cache_of_a_token_is_the_published_one(name: str) -> None:
    assert kv_bytes(facts(name).geometry) == SHARED[name].kv_bytes_per_token["bf16"]


@pytest.mark.parametrize("name", [name for name, entry in SHARED.items() if not entry.parameters_rounded])
def test_the_parameters_are_the_published_ones(name: str) -> None:
    entry = SHARED[name]
    assert parameters(facts(name).geometry) == pytest.approx(
        entry.parameters - entry.architecture.parameters_outside_layers, rel=1e-4
    )


@pytest.mark.parametrize("name", ["devstral-small-2507", "wizardlm-2-8x22b", "qwen3.5-18b-reap-a3b-coding"])
def test_a_checkpoint_in_16_bits_has_the_bytes_of_its_shape(name: str) -> None:
    """To the byte: `total_size` is what its writer summed up."""
    assert parameters(facts(name).geometry) * 2 == FILES[name]["total_size"]


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if "tensors" in file])
def test_no_matrix_of_a_real_checkpoint_counts_as_small(name: str) -> None:
    layers = facts(name).geometry.layers
    small = {tensor for tensor in FILES[name]["tensors"] if kind_of(tensor, layers) == "small"}
    assert all("norm" in tensor or "gate.weight" in tensor for tensor in small)
    assert not {kind_of(tensor, layers) for tensor in FILES[name]["tensors"]} - set(TensorBytes.__match_args__)


SHAPES: list[tuple[str, dict[str, object], dict[str, object]]] = [
    (
        "mixtral-8x7b-v0.1", {},
        {"kind": "moe-gqa", "experts": 8, "experts_used": 2, "expert_feed_forward": 14336, "feed_forward": 0, "kv_heads": 8},
    ),
    (
        "llama-4-scout-17b-16e-instruct", {},
        {"layers": 48, "sliding_layers": 36, "sliding_window": 8192, "shared_experts": 1, "expert_feed_forward": 8192},
    ),
    (
        "nvidia-nemotron-3-nano-30b-a3b-bf16", {},
        {"kv_layers": 6, "linear_layers": 23, "shared_experts": 2, "experts": 128, "feed_forward": 0, "dense_layers": 29},
    ),
    ("nvidia-nemotron-3-ultra-550b-a55b-bf16", {}, {"layers": 108, "kv_layers": 12, "linear_layers": 48}),
    ("qwen3-vl-30b-a3b-instruct", {}, {"layers": 48, "experts": 128, "tied_embeddings": False}),
    ("qwen3-vl-4b-instruct", {}, {"layers": 36, "tied_embeddings": True}),
    ("qwen3.5-27b", {}, {"kind": "dense-hybrid-gdn", "kv_layers": 16, "linear_layers": 48, "draft_layers": 1}),
    ("kimi-k3", {}, {"kv_layers": 24, "linear_layers": 69, "shared_experts": 2, "dense_layers": 1}),
    ("deepseek-v3.2", {}, {"index_dimensions": 128, "draft_layers": 1}),
    ("minimax-m3", {}, {"dense_layers": 3, "feed_forward": 12288, "shared_experts": 1, "index_dimensions": 128}),
    # From here on the keys are those of transformers 5.23.0, whose class defaults are the named checkpoint's.
    (
        "tiiuae/falcon-7b",
        {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71, "vocab_size": 65024},
        {"kv_heads": 1, "key_length": 64, "feed_forward": 18176, "tied_embeddings": True},
    ),
    (
        "tiiuae/falcon-40b",
        {
            "model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 60, "num_attention_heads": 128, "vocab_size": 65024,
            "new_decoder_architecture": True, "num_kv_heads": 8,
        },
        {"kv_heads": 8, "key_length": 64, "feed_forward": 32768},
    ),
    (
        "bigcode/gpt_bigcode-santacoder",
        {"model_type": "gpt_bigcode", "n_embd": 2048, "n_layer": 24, "n_head": 16, "n_positions": 2048, "vocab_size": 49280},
        {"kv_heads": 1, "key_length": 128, "feed_forward": 8192, "layers": 24},
    ),
    (
        "microsoft/Phi-3-mini-4k-instruct",
        {
            "model_type": "phi3", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32, "max_position_embeddings": 4096, "sliding_window": 2047,
            "vocab_size": 32064,
        },
        {"kv_heads": 32, "key_length": 96, "sliding_layers": 32, "sliding_window": 2047},
    ),
    (
        "mistralai/Mistral-7B-v0.1", {"model_type": "mistral"},
        {"kv_heads": 8, "layers": 32, "sliding_layers": 32, "sliding_window": 4096, "feed_forward": 14336, "key_length": 128},
    ),
    (
        "mistralai/Mistral-7B-Instruct-v0.3", {"model_type": "mistral", "sliding_window": None, "vocab_size": 32768},
        {"sliding_layers": 0, "sliding_window": 0, "vocab": 32768},
    ),
    (
        "google/gemma-7b",
        {
            "model_type": "gemma", "hidden_size": 3072, "intermediate_size": 24576, "num_hidden_layers": 28,
            "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256, "vocab_size": 256000,
        },
        {"key_length": 256, "kv_heads": 16, "tied_embeddings": True},
    ),
    (
        "google/gemma-2-9b: defaults of Gemma2Config, the sizes of its model card",
        {
            "model_type": "gemma2", "hidden_size": 3584, "intermediate_size": 14336, "num_hidden_layers": 42,
            "num_attention_heads": 16, "num_key_value_heads": 8, "vocab_size": 256000, "max_position_embeddings": 8192,
        },
        {"key_length": 256, "sliding_window": 4096, "sliding_layers": 21, "tied_embeddings": True},
    ),
    (
        "google/gemma-3-12b-it, as its class and its file make it together",
        {
            "model_type": "gemma3",
            "text_config": {
                "model_type": "gemma3_text", "hidden_size": 3840, "intermediate_size": 15360, "num_attention_heads": 16,
                "num_hidden_layers": 48, "num_key_value_heads": 8, "sliding_window": 1024,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            },
        },
        {"vocab": 262208, "key_length": 256, "sliding_layers": 40, "sliding_window": 1024, "tied_embeddings": True, "qk_norm": True},
    ),
    (
        "google/gemma-3n: layers that read the cache of another",
        {
            "model_type": "gemma3n_text", "hidden_size": 2048, "intermediate_size": [8192, 16384], "num_hidden_layers": 35,
            "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 262400, "max_position_embeddings": 32768,
        },
        {"layers": 35, "kv_layers": 20, "sliding_layers": 16, "feed_forward": 16384},
    ),
    (
        "CohereForAI/c4ai-command-r-v01",
        {
            "model_type": "cohere", "hidden_size": 8192, "intermediate_size": 22528, "num_hidden_layers": 40,
            "num_attention_heads": 64, "num_key_value_heads": None, "vocab_size": 256000,
        },
        {"kv_heads": 64, "key_length": 128, "tied_embeddings": True},
    ),
    (
        "Qwen/Qwen1.5-MoE-A2.7B",
        {
            "model_type": "qwen2_moe", "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24,
            "num_attention_heads": 16, "num_key_value_heads": 16, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632, "num_experts_per_tok": 4, "num_experts": 60, "vocab_size": 151936,
        },
        {"shared_experts": 4, "experts": 60, "dense_layers": 0, "feed_forward": 0, "qkv_bias": True},
    ),
    (
        "Qwen/Qwen3-Next-80B-A3B-Instruct",
        {
            "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 16,
            "num_experts": 512, "num_experts_per_tok": 10, "moe_intermediate_size": 512, "vocab_size": 151936,
        },
        {"kv_layers": 12, "linear_layers": 36, "kv_heads": 2, "key_length": 256, "shared_experts": 1},
    ),
    (
        "zai-org/GLM-4.5-Air",
        {
            "model_type": "glm4_moe", "first_k_dense_replace": 1, "head_dim": 128, "hidden_size": 4096,
            "intermediate_size": 10944, "moe_intermediate_size": 1408, "n_routed_experts": 128, "n_shared_experts": 1,
            "num_attention_heads": 96, "num_experts_per_tok": 8, "num_hidden_layers": 46, "num_key_value_heads": 8,
            "num_nextn_predict_layers": 1, "vocab_size": 151552, "attention_bias": True,
        },
        {"dense_layers": 1, "feed_forward": 10944, "shared_experts": 1, "draft_layers": 1, "key_length": 128},
    ),
    (
        "ibm-granite/granite-4.0-h-small, by the keys of GraniteMoeHybridConfig",
        {
            "model_type": "granitemoehybrid", "hidden_size": 4096, "intermediate_size": 768, "num_hidden_layers": 40,
            "num_attention_heads": 32, "num_key_value_heads": 8, "num_local_experts": 72, "num_experts_per_tok": 10,
            "shared_intermediate_size": 1536, "mamba_d_state": 128, "vocab_size": 100352,
            "layer_types": (["mamba"] * 9 + ["attention"]) * 4,
        },
        {"kv_layers": 4, "linear_layers": 36, "shared_experts": 2, "expert_feed_forward": 768, "kind": "moe-hybrid-ssm"},
    ),
    (
        "a Llama inside a model that sees, whose file says nothing but its type",
        {"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}, "vision_config": {"hidden_size": 1024}},
        {"layers": 32, "heads": 32, "kv_heads": 32, "hidden": 4096, "vocab": 32064, "tied_embeddings": False},
    ),
    (
        "Qwen 2 with its window put to work",
        {
            "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "vocab_size": 152064,
            "num_attention_heads": 28, "num_key_value_heads": 4, "use_sliding_window": True, "sliding_window": 4096,
            "max_window_layers": 20, "max_position_embeddings": 32768,
        },
        {"sliding_layers": 8, "sliding_window": 4096, "qkv_bias": True},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "config", "expected"), SHAPES, ids=[shape[0] for shape in SHAPES])
def test_shapes(name: str, config: dict[str, object], expected: dict[str, object]) -> None:
    geometry = geometry_of_config(config or FILES[name]["config"])
    assert {key: getattr(geometry, key) for key in expected} == expected


IN_CATALOG = {
    "tiiuae/falcon-7b": "falcon-7b-instruct",
    "tiiuae/falcon-40b": "falcon-40b-instruct",
    "zai-org/GLM-4.5-Air": "glm-4.5-air",
    "mistralai/Mistral-7B-v0.1": "mistral-7b-instruct-v0.1",
    "mistralai/Mistral-7B-Instruct-v0.3": "mistral-7b-instruct-v0.3",
    "google/gemma-7b": "gemma-7b-it",
    "google/gemma-2-9b: defaults of Gemma2Config, the sizes of its model card": "gemma-2-9b-it",
    "google/gemma-3-12b-it, as its class and its file make it together": "gemma-3-12b-it",
    "CohereForAI/c4ai-command-r-v01": "command-r-v01",
}


@pytest.mark.parametrize("name", IN_CATALOG)
def test_shapes_of_classes_are_the_catalogs(name: str) -> None:
    """But for Gemma 3's vocabulary, whose table of embeddings has 64 rows more than the tokenizer has tokens."""
    config = next(config for shape, config, _ in SHAPES if shape == name)
    geometry = geometry_of_config(config or FILES[name]["config"])
    said = cast(Mapping[str, Any], BOOKS.models[IN_CATALOG[name]])["architecture"]
    same = {key: value for key, value in said.items() if (key, value) != ("vocab", 262144)}
    assert {key: getattr(geometry, key) for key in same} == same


def test_states_of_layers_without_a_cache() -> None:
    """By the shapes of vLLM's `mamba_utils.py`, written out."""
    qwen = geometry_of_config(FILES["qwen3.5-27b"]["config"])
    assert qwen.linear_state_bytes == 3 * (2 * 16 * 128 + 48 * 128) * 2 + 48 * 128 * 128 * 4
    nemotron = geometry_of_config(FILES["nvidia-nemotron-3-nano-30b-a3b-bf16"]["config"])
    assert nemotron.linear_state_bytes == 3 * (64 * 64 + 2 * 8 * 128) * 2 + 64 * 64 * 128 * 4
    kimi = geometry_of_config(FILES["kimi-k3"]["config"])
    assert kimi.linear_state_bytes == 3 * 3 * 96 * 128 * 2 + 96 * 128 * 128 * 4


SMALL: dict[str, object] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192, "torch_dtype": "bfloat16",
}  # fmt: skip


def compressed(weights: dict[str, object], inputs: object = None, form: str = "") -> dict[str, object]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": inputs}
    return {"quant_method": "compressed-tensors", "format": form, "config_groups": {"group_0": group}}


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        (None, ("bf16", 0)),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, ("fp8_block128", 128)),
        ({"quant_method": "fp8"}, ("fp8", 0)),
        ({"quant_method": "fbgemm_fp8"}, ("fp8", 0)),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, ("awq", 128)),
        ({"quant_method": "gptq", "bits": 4, "group_size": 32}, ("gptq", 32)),
        ({"quant_method": "gptq", "bits": 4, "group_size": -1}, ("gptq", 0)),
        ({"quant_method": "gptq", "bits": 4}, ("gptq", 128)),
        ({"quant_method": "awq", "bits": 4}, ("awq", 128)),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128}, ("gptq_int8", 128)),
        ({"quant_method": "auto-round", "bits": 4, "group_size": 128}, ("w4a16", 128)),
        ({"quant_method": "mxfp4"}, ("mxfp4", 32)),
        (compressed({"type": "int", "num_bits": 4, "group_size": 128, "strategy": "group"}), ("w4a16", 128)),
        (compressed({"type": "int", "num_bits": 8, "strategy": "channel"}, {"num_bits": 8}), ("int8", 0)),
        (compressed({"type": "int", "num_bits": 8, "strategy": "channel"}), ("w8a16", 0)),
        (compressed({"type": "float", "num_bits": 8, "strategy": "channel"}, {"num_bits": 8}), ("fp8", 0)),
        (
            compressed({"type": "float", "num_bits": 8, "strategy": "block", "block_structure": [128, 128]}),
            ("fp8_block128", 128),
        ),
        (
            compressed({"type": "float", "num_bits": 8, "strategy": "block", "block_structure": "128x128"}),
            ("fp8_block128", 128),
        ),
        (compressed({"type": "float", "num_bits": 4, "group_size": 16}, form="nvfp4-pack-quantized"), ("nvfp4", 16)),
        (compressed({"type": "float", "num_bits": 4, "group_size": 32}, form="mxfp4-pack-quantized"), ("mxfp4", 32)),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16}, ("nvfp4", 16)),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, ("fp8", 0)),
    ],
)
def test_precisions(quantization: object, expected: tuple[str, int]) -> None:
    found = facts_of_config({**SMALL, "quantization_config": quantization})
    assert (found.precision, found.group) == expected


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("deepseek-r1", "fp8_block128"), ("gpt-oss-20b", "mxfp4"), ("kimi-k2.5", "w4a16"), ("kimi-k3", "mxfp4"),
        ("qwen3-32b-fp8-static-pertensor", "fp8"), ("deepseek-v3.1-nvfp4", "nvfp4"), ("qwen3.6-27b-nvfp4", "nvfp4"),
        ("deepseek-v4-flash", "mxfp4_fp8"), ("qwen3-32b", "bf16"),
    ],
)  # fmt: skip
def test_precisions_of_real_files(name: str, precision: str) -> None:
    assert facts(name).precision == precision


@pytest.mark.parametrize(
    ("change", "context"),
    [
        ({}, 8192),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}}, 8192),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}}, 32768),
        ({"rope_scaling": {"type": "linear", "factor": 2}}, 16384),
        ({"rope_scaling": {"type": "yarn", "factor": 1e300}}, 8192),
        ({"rope_scaling": "yarn"}, 8192),
        ({"max_position_embeddings": None}, 0),
    ],
)
def test_contexts(change: dict[str, object], context: int) -> None:
    assert facts_of_config({**SMALL, **change}).context == context


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model_type": None}, "no `model_type`"),
        ({"model_type": "strange", "hidden_size": None}, "no `hidden_size`"),
        ({"num_hidden_layers": None}, "no `num_hidden_layers`"),
        ({"vocab_size": None}, "no `vocab_size`"),
        ({"num_hidden_layers": 1 << 20}, "no model has so many layers"),
        ({"num_hidden_layers": "32"}, "is no count"),
        ({"num_hidden_layers": -1}, "is no count"),
        ({"hidden_size": True}, "is no count"),
        ({"hidden_size": 1 << 60}, "is no count"),
        ({"num_key_value_heads": 7}, "does not divide 32 heads"),
        ({"num_key_value_heads": 64}, "does not divide"),
        ({"layer_types": ["psychic_attention"] * 32}, "psychic_attention"),
        ({"layer_types": ["full_attention"] * 3}, "3 layers of 32"),
        ({"num_local_experts": 8}, "no `num_experts_per_tok`"),
        ({"num_local_experts": 8, "num_experts_per_tok": 9}, "there are 8 experts"),
        ({"tie_word_embeddings": "yes"}, "neither true nor false"),
        ({"is_encoder_decoder": True}, "an encoder and a decoder"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes packs weights"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "'aqlm', which is not known here"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 3}}, "with 3 bits"),
        ({"quantization_config": {"quant_method": "fp8", "weight_block_size": [1, 32]}}, r"\[1, 32\]"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "no `config_groups`"),
        ({"quantization_config": compressed({"type": "int", "num_bits": 2})}, "2 bits"),
        ({"kv_lora_rank": 512}, "no `qk_nope_head_dim`"),
    ],
)
def test_what_is_wrong_or_missing_is_named(change: dict[str, object], words: str) -> None:
    unknown = {**SMALL, "model_type": "unheard_of"}
    with pytest.raises(ValueError, match=words):
        facts_of_config({**unknown, **change})


def test_caches_of_two_shapes_are_refused_where_a_file_does_not_tell_all() -> None:
    with pytest.raises(ValueError, match="caches of two shapes"):
        facts("gemma-4-26b-a4b")


def test_sliding_layers_with_heads_of_their_own_are_read() -> None:
    shape = facts("mimo-v2-flash").geometry
    assert (shape.kv_heads, shape.sliding_kv_heads) == (4, 8)
    assert (shape.sliding_key_length, shape.sliding_value_length) == (0, 0)


def test_an_unknown_type_is_read_by_the_common_keys_and_says_so() -> None:
    found = facts_of_config({**SMALL, "model_type": "unheard_of", "auto_map": {"AutoConfig": "evil.Config"}})
    assert not found.known
    assert found.own_code
    assert found.geometry == facts_of_config(SMALL).geometry


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["full_attention", "linear_attention", "LLG", "yarn"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
KEYS = sorted(
    {key for file in FILES.values() for key in file["config"]} | {"text_config", "quantization_config", "layer_types"}
)


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FILES)), st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_change_to_a_real_file_is_read_or_refused(name: str, changes: dict[str, object]) -> None:
    for config in (
        {**FILES[name]["config"], **changes},
        {"model_type": "x", "text_config": {**FILES[name]["config"], **changes}},
    ):
        try:
            found = facts_of_config(config)
        except ValueError:
            continue
        assert 0 < found.geometry.layers <= 4096
        assert found.geometry.kv_layers <= found.geometry.layers


@given(st.dictionaries(st.text(max_size=12), JSON, max_size=6), JSON)
def test_any_document(config: dict[str, object], quantization: object) -> None:
    try:
        facts_of_config({"model_type": "llama", **config, "quantization_config": quantization}, config)
    except ValueError:
        return
