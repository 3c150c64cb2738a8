"""Tiny models of every shape that memory depends on, as their `config.json` has them.

Heads are 64 wide, because vLLM's attention on a CPU takes few widths, and latent rows 512 + 64, because its kernel takes only those.
"""

from collections.abc import Mapping
from typing import Any

COMMON: Mapping[str, Any] = {
    "vocab_size": 512, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 4096,
}  # fmt: skip

LATENT: Mapping[str, Any] = {
    "num_key_value_heads": 4, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 128,
    "first_k_dense_replace": 1, "n_shared_experts": 1, "head_dim": 64,
}  # fmt: skip

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "mha": {"model_type": "llama", "num_key_value_heads": 4},
    "gqa": {"model_type": "qwen2"},
    "tied": {"model_type": "qwen2", "tie_word_embeddings": True},
    "one-kv-head": {"model_type": "qwen3", "num_key_value_heads": 1, "num_hidden_layers": 3},
    "mla": {"model_type": "deepseek_v3", **LATENT, "q_lora_rank": 64, "topk_method": "noaux_tc"},
    "mla-without-query-rank": {"model_type": "deepseek_v2", **LATENT, "q_lora_rank": None},
    "moe": {
        "model_type": "qwen3_moe", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
    },
    "mixtral": {"model_type": "mixtral", "num_local_experts": 4, "num_experts_per_tok": 2},
    "all-sliding": {"model_type": "mistral", "sliding_window": 512},
    "half-sliding": {"model_type": "gemma2", "sliding_window": 512, "num_hidden_layers": 4},
    "mostly-sliding": {
        "model_type": "gemma3_text", "sliding_window": 512, "num_hidden_layers": 6,
        "layer_types": ["sliding_attention"] * 5 + ["full_attention"],
    },
    "sinks": {
        "model_type": "gpt_oss", "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 128,
        "num_hidden_layers": 4,
    },
    "linear": {
        "model_type": "qwen3_next", "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128,
        "shared_expert_intermediate_size": 128, "num_hidden_layers": 4, "linear_num_key_heads": 2,
        "linear_num_value_heads": 4, "linear_key_head_dim": 64, "linear_value_head_dim": 64,
        "layer_types": ["linear_attention"] * 3 + ["full_attention"],
    },
}  # fmt: skip


def config(name: str, **changes: Any) -> dict[str, Any]:
    """What transformers makes the model of that name from."""
    return {**COMMON, **SHAPES[name], **changes}
