"""The feed-forward part of a configuration: how many experts, how wide, how many of them shared, which layers have none."""

from typing import NamedTuple

from provisioner.weights.fields import Fields


class Feed(NamedTuple):
    feed_forward: int
    """0 where no layer is dense."""
    experts: int = 0
    experts_used: int = 0
    shared_experts: int = 0
    expert_feed_forward: int = 0
    dense_layers: int = 0


def feed_of(fields: Fields, model_type: str, layers: int) -> Feed:
    experts = fields.count("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
    if experts == 0:
        return Feed(_dense_width(fields, model_type))
    width = fields.count("moe_intermediate_size") or fields.needed("intermediate_size", "ffn_hidden_size")
    used = fields.needed(
        "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "top_k_experts", "moe_k", "moe_top_k"
    )
    if used > experts:
        raise ValueError(f"`num_experts_per_tok` is {used}, and there are {experts} experts")
    dense = _dense_layers(fields, layers)
    beside = model_type == "gemma4_text"
    lone = _lone_layers(fields)
    dense_width = fields.count("dense_intermediate_size", "intermediate_size_mlp") or fields.count("intermediate_size")
    return Feed(
        feed_forward=dense_width if beside or (dense and (lone is None or "mlp" in lone)) else 0,
        experts=experts,
        experts_used=used,
        shared_experts=_shared(fields, model_type, width),
        expert_feed_forward=width,
        dense_layers=dense,
    )


def _dense_width(fields: Fields, model_type: str) -> int:
    """Granite's hybrids keep the name of the shared expert where there are no others; GPT-2's kind says 4 × hidden by nothing."""
    if model_type.startswith("granitemoe") and fields.count("shared_intermediate_size"):
        return fields.count("shared_intermediate_size")
    wide = fields.value("intermediate_size")
    if isinstance(wide, list):  # Gemma 3n lists it for each layer.
        return max((one for one in wide if isinstance(one, int)), default=0)
    named = fields.count("intermediate_size", "ffn_hidden_size", "ffn_dim", "n_inner", "inner_hidden_size")
    return named or 4 * fields.needed("hidden_size", "n_embd", "d_model")


def _shared(fields: Fields, model_type: str, width: int) -> int:
    """Counted in widths of one expert: Qwen 2 MoE has one shared expert that is four wide, Nemotron H one that is two."""
    total = fields.count(
        "moe_shared_expert_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size"
    )
    if total:
        return -(-total // width)
    if model_type == "llama4_text":
        return 1
    return fields.count("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")


def _lone_layers(fields: Fields) -> tuple[object, ...] | None:
    """Nemotron H: each layer is attention, a state space, experts or a feed-forward part alone."""
    pattern = fields.text("hybrid_override_pattern")
    if pattern:
        return tuple({"E": "moe", "-": "mlp"}.get(letter, "other") for letter in pattern)
    kinds = fields.items("layers_block_type") or ()
    return kinds if "moe" in kinds else None


def _dense_layers(fields: Fields, layers: int) -> int:
    """Layers without experts, in each of the ways in which makers write it down."""
    lone = _lone_layers(fields)
    if lone is not None:
        return max(0, layers - lone.count("moe"))
    kinds = fields.items("mlp_layer_types")
    if kinds is not None:
        return kinds.count("dense")
    frequency = fields.value("moe_layer_freq")
    if isinstance(frequency, list | tuple):
        return sum(1 for item in frequency[:layers] if item == 0)
    if fields.count("expert_layer_period"):
        period, offset = fields.count("expert_layer_period"), fields.count("expert_layer_offset")
        return sum(1 for layer in range(layers) if layer % period != offset)
    if fields.has("moe_layer_start_index"):
        return min(layers, fields.count("moe_layer_start_index"))
    picked = fields.items("moe_layers")
    if picked:
        return max(0, layers - len(picked))
    return _stepped(fields, layers)


def _stepped(fields: Fields, layers: int) -> int:
    """`decoder_sparse_step` and `mlp_only_layers` of Qwen, `interleave_moe_layer_step` of Llama 4, a first few of DeepSeek."""
    step = fields.count("decoder_sparse_step", "interleave_moe_layer_step") or 1
    only = fields.items("mlp_only_layers") or ()
    stepped = sum(1 for layer in range(layers) if layer in only or (layer + 1) % step)
    return stepped or min(layers, fields.count("first_k_dense_replace"))
