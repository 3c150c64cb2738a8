"""Bytes that a layer without a growing cache keeps for one request: a convolution's last inputs and a matrix.

Shapes and types as vLLM keeps them: `MambaStateShapeCalculator` and `MambaStateDtypeCalculator` in its
`vllm/model_executor/layers/mamba/mamba_utils.py`. The convolution is in the model's type; the matrix too, unless the
configuration names another one (`mamba_ssm_dtype`), and always float32 in Kimi's delta attention.
"""

from provisioner.weights.fields import Fields

SIZES = {"float32": 4, "float": 4, "bfloat16": 2, "float16": 2, "half": 2}


def state_bytes(fields: Fields) -> int:
    """Of one layer and one request, on all ranks together; 0 where the keys do not tell it."""
    model = SIZES.get(fields.text("dtype", "torch_dtype"), 2)
    own = SIZES.get(fields.text("mamba_ssm_dtype", "mamba_ssm_cache_dtype"), model)
    if fields.count("linear_num_value_heads"):
        return _delta_net(fields, model, own)
    if fields.has("linear_attn_config"):
        return _kimi(fields.table("linear_attn_config"), model)
    if fields.count("conv_L_cache"):
        return (fields.count("conv_L_cache") - 1) * fields.count("hidden_size") * model
    if fields.count("mamba_d_state", "ssm_state_size", "state_size"):
        return _mamba(fields, model, own)
    if fields.has("attn_type_list"):
        return fields.count("num_attention_heads") * fields.count("head_dim") ** 2 * model
    return 0


def _delta_net(fields: Fields, model: int, own: int) -> int:
    keys = fields.count("linear_num_key_heads") * fields.count("linear_key_head_dim")
    values = fields.count("linear_num_value_heads") * fields.count("linear_value_head_dim")
    window = max(0, fields.count("linear_conv_kernel_dim") - 1)
    return window * (2 * keys + values) * model + values * fields.count("linear_key_head_dim") * own


def _kimi(fields: Fields, model: int) -> int:
    width = fields.count("num_heads") * fields.count("head_dim")
    window = max(0, fields.count("short_conv_kernel_size") - 1)
    return window * 3 * width * model + width * fields.count("head_dim") * 4


def _mamba(fields: Fields, model: int, own: int) -> int:
    """Mamba 2 has heads, and its convolution covers the groups' B and C as well; Mamba 1 has neither."""
    state = fields.count("mamba_d_state", "ssm_state_size", "state_size")
    heads = fields.count("mamba_n_heads", "mamba_num_heads")
    inner = _inner(fields, heads)
    window = max(0, fields.count("mamba_d_conv", "conv_kernel") - 1)
    groups = fields.count("mamba_n_groups", "n_groups") if heads else 0
    return window * (inner + 2 * groups * state) * model + inner * state * own


def _inner(fields: Fields, heads: int) -> int:
    width = fields.value("mamba_d_head", "mamba_head_dim")
    if heads and isinstance(width, int):
        return heads * width
    named = fields.count("mamba_d_ssm")
    return named or fields.count("mamba_expand", "expand") * fields.count("hidden_size")


def mixer_parameters(fields: Fields) -> int:
    """Of one such layer: projections, convolution, decay and norm, as transformers' `modeling_*.py` declares them; 0 if unknown."""
    hidden = fields.count("hidden_size")
    if fields.count("linear_num_value_heads"):
        return _delta_net_parameters(fields, hidden)
    if fields.has("linear_attn_config"):
        return _kimi_parameters(fields.table("linear_attn_config"), hidden)
    if fields.count("mamba_d_state", "ssm_state_size") and fields.count("mamba_n_heads", "mamba_num_heads"):
        return _mamba_parameters(fields, hidden)
    return 0


def _delta_net_parameters(fields: Fields, hidden: int) -> int:
    keys = fields.count("linear_num_key_heads") * fields.count("linear_key_head_dim")
    heads = fields.count("linear_num_value_heads")
    values = heads * fields.count("linear_value_head_dim")
    convolution = fields.count("linear_conv_kernel_dim") * (2 * keys + values)
    projections = hidden * (2 * keys + 3 * values + 2 * heads)
    return projections + convolution + 2 * heads + fields.count("linear_value_head_dim")


def _kimi_parameters(fields: Fields, hidden: int) -> int:
    """Its decay goes through a row as wide as a head; its gate too, unless it has full rank."""
    width, narrow = fields.count("num_heads") * fields.count("head_dim"), fields.count("head_dim")
    gate = hidden * width if fields.flag("use_full_rank_gate") else narrow * (hidden + width)
    convolution = 3 * width * fields.count("short_conv_kernel_size")
    decay = narrow * (hidden + width) + width + fields.count("num_heads")
    return 4 * hidden * width + gate + convolution + decay + hidden * fields.count("num_heads") + narrow


def _mamba_parameters(fields: Fields, hidden: int) -> int:
    heads = fields.count("mamba_n_heads", "mamba_num_heads")
    inner = _inner(fields, heads)
    around = 2 * fields.count("mamba_n_groups", "n_groups") * fields.count("mamba_d_state", "ssm_state_size")
    convolution = (inner + around) * (fields.count("mamba_d_conv", "conv_kernel") + 1)
    return hidden * (3 * inner + around + heads) + convolution + 3 * heads + inner
