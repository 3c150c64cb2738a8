"""What a key means that a `config.json` leaves out: the defaults of the configuration classes.

Taken from `src/transformers/models/*/configuration_*.py` of transformers 5.23.0 (wheel on PyPI), by model type. Makers rely
on them: google/gemma-3-4b-it gives neither heads nor vocabulary, llava-hf/llava-1.5-7b-hf nothing but the model type.
"""

from collections.abc import Mapping

TIED = {"tie_word_embeddings": True}

PATTERN = "sliding_window_pattern"
"""Every so manieth layer sees everything, the ones between see a window; used where the file has no list of its own."""

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "llama": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
        "num_attention_heads": 32, "max_position_embeddings": 2048,
    },
    "mistral": {
        "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 131072, "sliding_window": 4096,
    },
    "ministral3": {"head_dim": 128},
    "qwen3": {"head_dim": 128},
    "qwen3_moe": {"num_key_value_heads": 4, "decoder_sparse_step": 1},
    "gemma": {**TIED, "head_dim": 256},
    "gemma2": {PATTERN: 2, **TIED, "head_dim": 256, "sliding_window": 4096},
    "gemma3": TIED,
    "gemma3_text": {
        PATTERN: 6, **TIED, "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    "gemma3n": TIED,
    "gemma3n_text": {PATTERN: 5, **TIED, "head_dim": 256, "num_kv_shared_layers": 15, "sliding_window": 512},
    "gemma4": TIED,
    "gemma4_text": {PATTERN: 6, **TIED, "head_dim": 256, "sliding_window": 512},
    "qwen2_moe": {"shared_expert_intermediate_size": 5632, "decoder_sparse_step": 1},
    "mixtral": {"num_key_value_heads": 8, "num_experts_per_tok": 2, "num_local_experts": 8},
    "gpt_oss": {PATTERN: 2, "head_dim": 64, "sliding_window": 128, "attention_bias": True, "num_experts_per_tok": 4},
    "deepseek_v3": {"n_shared_experts": 1, "first_k_dense_replace": 3},
    "deepseek_v32": {"n_shared_experts": 1, "first_k_dense_replace": 3, "index_head_dim": 128},
    "glm_moe_dsa": {"n_shared_experts": 1, "first_k_dense_replace": 3, "index_head_dim": 128},
    "glm4_moe": {"n_shared_experts": 1, "first_k_dense_replace": 1, "num_key_value_heads": 8},
    "qwen3_next": {
        "head_dim": 256, "num_key_value_heads": 2, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
        "shared_expert_intermediate_size": 512, "full_attention_interval": 4,
    },
    "qwen3_5_text": {
        "head_dim": 256, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "full_attention_interval": 4,
    },
    "qwen3_5_moe_text": {
        "head_dim": 256, "linear_conv_kernel_dim": 4, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "linear_num_key_heads": 16, "linear_num_value_heads": 32, "full_attention_interval": 4,
        "shared_expert_intermediate_size": 512,
    },
    "granitemoehybrid": {
        "shared_intermediate_size": 1024, "mamba_n_heads": 128, "mamba_n_groups": 1, "mamba_d_state": 256,
        "mamba_d_conv": 4, "mamba_expand": 2,
    },
    "cohere": TIED,
    "cohere2": {PATTERN: 4, **TIED, "sliding_window": 4096},
    "falcon": {**TIED, "multi_query": True},
    "gpt_bigcode": {**TIED, "multi_query": True},
    "starcoder2": {**TIED, "num_key_value_heads": 2},
    "olmo3": {PATTERN: 4, "sliding_window": 4096},
    "exaone4": {PATTERN: 4, "sliding_window": 4096},
    "smollm3": TIED,
    "lfm2": {**TIED, "conv_L_cache": 3},
    "llama4_text": {PATTERN: 4},
    "gpt2": TIED,
    "opt": TIED,
    "bloom": TIED,
}  # fmt: skip
