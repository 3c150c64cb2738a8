"""Degrees that the planner calls valid, against vLLM's own configuration and the layers that it builds for them."""

from collections.abc import Mapping
from typing import Any

import pytest

from provisioner.catalog import load_catalog
from provisioner.engines.vllm import ENGINE
from provisioner.model.load import Card, Degrees, Load
from provisioner.weights.hfconfig import facts_of_config
from tests.bed.engine import Engine

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.slow]

GIB = 1 << 30
CARD = Card("nvidia", "NVIDIA H200", 141 * GIB, 140 * GIB, "sm90")
SIZES = range(1, 17)

FP8_BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic", "fmt": "e4m3"}

AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}

COMMON: Mapping[str, Any] = {
    "num_hidden_layers": 2, "max_position_embeddings": 4096, "torch_dtype": "bfloat16", "hidden_act": "silu",
    "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
}  # fmt: skip

WIDE: Mapping[str, Mapping[str, Any]] = {
    "28-heads": {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 3584, "intermediate_size": 18944,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064,
    },
    "40-heads": {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 5120, "intermediate_size": 13824,
        "num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064,
    },
    "6-key-value-heads": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 3072, "intermediate_size": 12288,
        "num_attention_heads": 48, "num_key_value_heads": 6, "head_dim": 64, "vocab_size": 49152,
    },
    "odd-vocabulary": {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 1920, "intermediate_size": 5760,
        "num_attention_heads": 30, "num_key_value_heads": 30, "head_dim": 64, "vocab_size": 32001,
    },
    "experts": {
        "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 4096,
        "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_attention_heads": 64, "num_key_value_heads": 4,
        "head_dim": 128, "num_experts": 16, "num_experts_per_tok": 8, "vocab_size": 151936,
    },
    "latent": {
        "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "hidden_size": 7168,
        "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_attention_heads": 128, "num_key_value_heads": 128,
        "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
        "n_routed_experts": 16, "num_experts_per_tok": 8, "n_group": 8, "topk_group": 4, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid", "vocab_size": 129280,
    },
    "sinks": {
        "model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "hidden_size": 3072, "intermediate_size": 3072,
        "num_attention_heads": 64, "num_key_value_heads": 16, "head_dim": 64, "num_local_experts": 16,
        "num_experts_per_tok": 4, "sliding_window": 128, "vocab_size": 201088,
    },
    "linear": {
        "model_type": "qwen3_next", "architectures": ["Qwen3NextForCausalLM"], "hidden_size": 2048,
        "intermediate_size": 5120, "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512,
        "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "num_experts": 16,
        "num_experts_per_tok": 4, "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "layer_types": ["linear_attention", "full_attention"], "vocab_size": 151936,
    },
}  # fmt: skip
"""Widths of published models, of which two layers are built; those of gpt-oss rounded to what kernels on a processor take."""


def load_of(config: Mapping[str, Any], degrees: Degrees) -> Load:
    facts = facts_of_config(config)
    return Load(
        geometry=facts.geometry, precision=facts.precision, degrees=degrees, card=CARD, weights_bytes=GIB,
        kv_bytes_per_token=1024, context=1024, sequences=4, batched_tokens=2048, version="0.32.0", group=facts.group,
        constants=load_catalog().engine("vllm").constants,
    )  # fmt: skip


def agree(engine: Engine, name: str, changes: Mapping[str, Any], expert: bool = False) -> None:
    """The engine and the planner take the same sizes: one and more, and not all."""
    config = {**COMMON, **WIDE[name], **changes}
    folder = engine.config_only(f"{name}-{abs(hash(str(changes)))}", config)
    degrees = [{"tensor_parallel_size": size, "enable_expert_parallel": expert} for size in SIZES]
    answers = engine("accepts", folder=str(folder), degrees=degrees)["refused"]
    theirs = dict(zip(SIZES, answers, strict=True))
    ours = {size: ENGINE.refuses(load_of(config, Degrees(tensor=size, expert=expert))) for size in SIZES}
    assert [size for size in SIZES if not ours[size]] == [size for size in SIZES if not theirs[size]], (theirs, ours)
    assert {"", theirs[1], ours[2]} == {""}, (theirs, ours)
    assert all(theirs[size] and ours[size] for size in (9, 11, 13))


@pytest.mark.parametrize("name", ["28-heads", "40-heads", "experts", "latent"])
def test_decode_context(engine: Engine, name: str) -> None:
    """Ranks that hold the same key-value heads may share the tokens out among them."""
    sizes = [(tensor, context) for tensor in (4, 8, 14, 16) for context in (2, 3, 4, 8)]
    degrees = [{"tensor_parallel_size": tensor, "decode_context_parallel_size": context} for tensor, context in sizes]
    config = {**COMMON, **WIDE[name]}
    answers = engine("configures", folder=str(engine.config_only(name, config)), degrees=degrees)["refused"]
    theirs = dict(zip(sizes, answers, strict=True))
    ours = {
        (tensor, context): ENGINE.refuses(load_of(config, Degrees(tensor=tensor, decode_context=context)))
        for tensor, context in sizes
    }
    assert [size for size in sizes if not ours[size]] == [size for size in sizes if not theirs[size]], (theirs, ours)


def test_gpt_oss_does_not_replicate_its_heads(engine: Engine) -> None:
    """Its class divides key-value heads without a thought for fewer of them than ranks: no more ranks than heads for it alone."""
    changes = {"num_key_value_heads": 8}
    agree(engine, "sinks", changes)
    refused = ENGINE.refuses(load_of({**COMMON, **WIDE["sinks"], **changes}, Degrees(tensor=16)))
    assert "ZeroDivisionError" in refused
    assert "take tensor parallel 1, 2, 4 or 8" in refused


@pytest.mark.parametrize("name", WIDE)
def test_16_bits(engine: Engine, name: str) -> None:
    agree(engine, name, {})


@pytest.mark.parametrize("name", ["28-heads", "40-heads", "experts", "latent"])
def test_blocks_of_8_bits(engine: Engine, name: str) -> None:
    agree(engine, name, {"quantization_config": FP8_BLOCKS})


@pytest.mark.parametrize("name", ["experts", "latent"])
def test_experts_kept_whole(engine: Engine, name: str) -> None:
    agree(engine, name, {"quantization_config": FP8_BLOCKS}, expert=True)


@pytest.mark.parametrize("group", [128, 64, 32])
@pytest.mark.parametrize("name", ["28-heads", "40-heads", "6-key-value-heads"])
def test_groups_of_4_bits(engine: Engine, name: str, group: int) -> None:
    """Values that share a scale stay on one rank, as many as the checkpoint says."""
    agree(engine, name, {"quantization_config": {**AWQ, "group_size": group}})
