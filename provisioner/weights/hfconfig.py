"""The shape of a model from the `config.json` beside its weights, as transformers' configuration classes read it.

Keys mean what they mean in `src/transformers/models/*/configuration_*.py` of transformers 5.23.0. The file comes from a
stranger: sizes and types are checked, nothing of it is run, and what is missing is named.
"""

from collections.abc import Mapping

from provisioner.model.catalog import Geometry
from provisioner.model.weights import ConfigFacts
from provisioner.weights.class_defaults import DEFAULTS
from provisioner.weights.experts import feed_of
from provisioner.weights.fields import Fields, printable
from provisioner.weights.indexers import heavy_layers, index_of
from provisioner.weights.layers import WINDOWED, Layers, layers_of
from provisioner.weights.quantization import precision_of
from provisioner.weights.states import mixer_parameters, state_bytes

NESTED = ("text_config", "llm_config", "language_config")
"""Where models that also see or hear keep their language model's keys."""
OUTER = ("tie_word_embeddings", "quantization_config", "compression_config", "dtype", "torch_dtype")
"""Keys that such a model may keep at its top instead."""

OTHERS = (
    "llama", "qwen2", "qwen3", "gemma", "qwen3_moe", "minimax", "minimax_m2", "minimax_m3", "minimax_m3_vl_text", "kimi_k2",
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "deepseek_v4", "glm4_moe", "glm_moe_dsa", "kimi_linear", "granite", "granitemoe",
    "olmo2", "smollm3", "glm4", "seed_oss", "nemotron_h", "qwen2_vl", "qwen2_5_vl", "qwen3_vl_text", "qwen3_vl_moe_text",
    "llama4_text", "jamba", "bamba", "falcon_h1", "gpt2", "opt", "bloom", "phi", "qwen2_5_vl_text", "qwen2_vl_text", "minimax_m3_vl",
    "mimo_v2_flash",
)  # fmt: skip
KNOWN = frozenset((*DEFAULTS, *WINDOWED, *OTHERS))

BIASED = ("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen2_vl_text", "qwen2_5_vl_text")
"""Their class always has the bias of q, k and v, whatever the file says (`modeling_qwen2.py`)."""
NORMED = (
    "qwen3", "qwen3_moe", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", "qwen3_vl_text", "qwen3_vl_moe_text",
    "gemma3_text", "gemma3n_text", "gemma4_text", "olmo2", "olmo3",
)  # fmt: skip
"""Their class always normalizes q and k for each head."""
UNGATED = ("falcon", "gpt_bigcode", "starcoder2", "gpt2", "opt", "bloom", "phi")
"""Their feed-forward part has two matrices; everybody else's has a gate as well."""
DRAFT_TABLES = ("deepseek_v3", "deepseek_v32", "glm4_moe", "glm_moe_dsa")
"""Their drafter's layer repeats embeddings and head (DeepSeek-V3's README_WEIGHTS.md)."""
NORMS = {
    "gemma2": 4, "gemma3_text": 4, "gemma4_text": 4, "glm4": 4, "cohere": 1, "cohere2": 1, "nemotron_h": 1, "phi": 1,
}  # fmt: skip
"""Rows of the hidden width in a layer's norms, where they are not two: Falcon's one norm has a bias, its later ones are two."""


def facts_of_config(config: Mapping[str, object], quantization: Mapping[str, object] | None = None) -> ConfigFacts:
    """Everything that planning needs; ValueError in words where the file does not say it or no engine could serve it."""
    fields, model_type = _language_part(config)
    named = config.get("architectures")
    architecture = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    precision = precision_of(fields, quantization)
    return ConfigFacts(
        architecture=printable(architecture or model_type, 80),
        geometry=_geometry(fields, model_type),
        precision=precision.name,
        group=precision.group,
        context=_context(fields, model_type),
        known=model_type in KNOWN,
        own_code="auto_map" in config,
    )


def geometry_of_config(config: Mapping[str, object]) -> Geometry:
    return _geometry(*_language_part(config))


def _language_part(config: Mapping[str, object]) -> tuple[Fields, str]:
    own = dict(config)
    for name in NESTED:
        inner = config.get(name)
        if isinstance(inner, Mapping):
            own = {**{key: config[key] for key in OUTER if config.get(key) is not None}, **inner}
            own["tie_word_embeddings"] = _tied(config, inner)
            own.setdefault("model_type", config.get("model_type"))
            break
    thinker = config.get("thinker_config")
    if isinstance(thinker, Mapping) and "num_hidden_layers" not in own:
        return _language_part({**{key: config[key] for key in OUTER if key in config}, **thinker})
    model_type = own.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise ValueError("it has no `model_type`")
    if config.get("is_encoder_decoder") is True:
        raise ValueError(
            f"{printable(model_type, 40)} has an encoder and a decoder; engines here serve models that only decode"
        )
    return Fields(own, DEFAULTS.get(model_type)), model_type


def _tied(config: Mapping[str, object], inner: Mapping[str, object]) -> object:
    """The whole model's word counts first, then its language part's, then the default of the whole model's class."""
    for part in (config, inner):
        if part.get("tie_word_embeddings") is not None:
            return part["tie_word_embeddings"]
    outer = DEFAULTS.get(str(config.get("model_type")), {})
    return bool(
        outer.get("tie_word_embeddings", DEFAULTS.get(str(inner.get("model_type")), {}).get("tie_word_embeddings"))
    )


def _geometry(fields: Fields, model_type: str) -> Geometry:
    _refuse_two_shapes(fields)
    layers = layers_of(fields, model_type)
    feed = feed_of(fields, model_type, layers.layers)
    heads = fields.needed("num_attention_heads", "n_head", "n_heads", "num_heads") if layers.kv else fields.count(
        "num_attention_heads"
    )  # fmt: skip
    hidden = fields.needed("hidden_size", "n_embd", "d_model", "model_dim")
    latent = fields.count("kv_lora_rank")
    index = index_of(fields)
    draft = fields.count("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
    key, value, kv_heads = _latent(fields) if latent else _heads(fields, model_type, heads, hidden)
    return Geometry(
        kind=_kind(fields, feed.experts > 0, layers, kv_heads == heads),
        layers=layers.layers,
        kv_layers=layers.kv,
        hidden=hidden,
        feed_forward=feed.feed_forward,
        heads=heads,
        kv_heads=kv_heads,
        key_length=key,
        value_length=value,
        vocab=fields.needed("vocab_size", "padded_vocab_size"),
        kv_lora_rank=latent,
        rope_dimensions=fields.count("qk_rope_head_dim"),
        q_lora_rank=fields.count("q_lora_rank"),
        experts=feed.experts,
        experts_used=feed.experts_used,
        shared_experts=feed.shared_experts,
        expert_feed_forward=feed.expert_feed_forward,
        expert_hidden=fields.count("routed_expert_hidden_size", "moe_latent_size") if feed.experts else 0,
        router_bias=feed.experts > 0 and _router_bias(fields, model_type),
        dense_layers=feed.dense_layers,
        sliding_window=layers.window or _compressed_window(fields),
        sliding_layers=layers.sliding,
        sliding_kv_heads=_other(fields, "swa_num_key_value_heads", kv_heads),
        sliding_key_length=_other(fields, "swa_head_dim", key),
        sliding_value_length=_other(fields, "swa_v_head_dim", value),
        tied_embeddings=fields.flag("tie_word_embeddings"),
        qkv_bias=model_type in BIASED or fields.flag("attention_bias", "qkv_bias", "use_qkv_bias"),
        qk_norm=model_type in NORMED or fields.flag("use_qk_norm", "qk_layernorm", "qk_norm"),
        linear_layers=layers.linear,
        linear_state_bytes=state_bytes(fields) if layers.linear else 0,
        linear_parameters=mixer_parameters(fields) if layers.linear else 0,
        output_gate=model_type == "qwen3_next" or fields.flag("attn_output_gate"),
        ungated=model_type in UNGATED or fields.text("mlp_hidden_act") == "relu2",
        index_dimensions=index.dimensions,
        index_heads=index.heads,
        index_layers=index.layers,
        heavy_layers=heavy_layers(fields, index, layers.kv),
        draft_layers=draft,
        draft_tables=draft > 0 and model_type in DRAFT_TABLES,
        unreplicated_heads=model_type == "gpt_oss",
        norms=4 if fields.flag("new_decoder_architecture") else NORMS.get(model_type, 2),
    )


def _router_bias(fields: Fields, model_type: str) -> bool:
    """One number for each expert, which corrects how they are chosen (`e_score_correction_bias`), or a plain bias."""
    corrected = fields.text("topk_method") == "noaux_tc" or fields.flag("use_routing_bias", "use_moe_router_bias")
    return corrected or model_type in ("glm4_moe", "gpt_oss", "nemotron_h", "kimi_linear", "deepseek_v3")


def _refuse_two_shapes(fields: Fields) -> None:
    """Gemma 4 shares one projection between keys and values in some layers, which its file alone does not tell apart."""
    if fields.has("block_configs"):
        raise ValueError("its layers differ one by one (`block_configs`), for which there is no arithmetic here yet")
    pairs = (
        ("global_head_dim", "head_dim"), ("num_global_key_value_heads", "num_key_value_heads"),
    )  # fmt: skip
    for other, usual in pairs:
        if fields.has(other) and fields.count(other) != fields.count(usual):
            raise ValueError(
                f"its layers have caches of two shapes (`{other}` {fields.count(other)} beside `{usual}` "
                f"{fields.count(usual)}), for which there is no arithmetic here yet"
            )


def _other(fields: Fields, name: str, usual: int) -> int:
    """What a file says of its sliding layers alone; 0 where they are as the others."""
    said = fields.count(name)
    return 0 if said == usual else said


def _latent(fields: Fields) -> tuple[int, int, int]:
    """DeepSeek's latent attention: one row for all heads, whatever `num_key_value_heads` says."""
    key = fields.needed("qk_nope_head_dim") + fields.needed("qk_rope_head_dim")
    return key, fields.needed("v_head_dim"), 1


def _heads(fields: Fields, model_type: str, heads: int, hidden: int) -> tuple[int, int, int]:
    if heads == 0:
        return 0, 0, 0
    key = fields.count("head_dim", "attention_head_dim", "kv_channels") or hidden // heads
    if key == 0:
        raise ValueError(f"`num_attention_heads` is {heads}, more than `hidden_size` {hidden} can be divided among")
    kv_heads = _kv_heads(fields, model_type) or heads
    if kv_heads > heads or heads % kv_heads:
        raise ValueError(f"`num_key_value_heads` is {kv_heads}, which does not divide {heads} heads")
    return key, fields.count("v_head_dim") or key, kv_heads


def _kv_heads(fields: Fields, model_type: str) -> int:
    """Falcon's and StarCoder's older kinds say `multi_query`: one head for all (`modeling_falcon.py`, line 241)."""
    named = fields.count("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
    if model_type in ("falcon", "gpt_bigcode") and not fields.flag("new_decoder_architecture"):
        return 1 if fields.flag("multi_query") else 0
    return named


def _compressed_window(fields: Fields) -> int:
    """DeepSeek V4 keeps a window beside its compressed rows in every layer (`compress_ratios`)."""
    return fields.count("sliding_window") if fields.has("compress_ratios") else 0


def _kind(fields: Fields, moe: bool, layers: Layers, each: bool) -> str:
    feed = "moe" if moe else "dense"
    if fields.has("compress_ratios"):
        return f"{feed}-mla-compressed-sparse"
    attention = "mla" if fields.count("kv_lora_rank") else "mha" if each else "gqa"
    if not layers.linear:
        return f"{feed}-{attention}{'-swa' if layers.sliding else ''}"
    if fields.has("linear_attn_config"):
        return f"{feed}-{attention}-kda-hybrid"
    return f"{feed}-hybrid-{'gdn' if fields.count('linear_num_value_heads') else 'ssm'}"


SCALED = ("linear", "dynamic", "yarn", "deepseek_yarn", "ntk")
"""Ways to stretch positions whose factor the engines multiply (vLLM's `_get_and_verify_max_len`); the others, such as llama3
and longrope, have it in `max_position_embeddings` already."""


def _context(fields: Fields, model_type: str) -> int:
    longest = fields.count("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "max_seq_len")
    scaling = fields.table("rope_scaling", "rope_parameters")
    way = scaling.text("rope_type", "type")
    factor = scaling.value("factor")
    if way not in SCALED or not isinstance(factor, int | float) or not 1 <= factor <= 4096 or "gemma3" in model_type:
        return longest
    before = scaling.count("original_max_position_embeddings") if "yarn" in way else 0
    return max(longest, round((before or longest) * factor))
