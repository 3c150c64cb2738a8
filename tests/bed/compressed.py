"""What vLLM makes of DeepSeek V4's cache: its layers are built without weights, so that they may be as many and as wide as they are.

Runs in the engine's own environment, in a fork of `driver.py`.
"""

from collections.abc import Callable
from typing import Any

import torch
from vllm.engine.arg_utils import EngineArgs
from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts, resolve_kv_cache_layout
from vllm.v1.core import kv_cache_utils


def laid_out(
    build: Callable[[Any, str], None], meeting: str, folder: str, kv_bytes: int, context: int, options: dict[str, Any]
) -> dict[str, Any]:
    """Blocks, groups and tokens of a pool, as it would log them where steps are scheduled ahead, which processors do not do."""
    torch.cpu._is_amx_tile_supported = lambda: True
    asked = EngineArgs(
        model=folder, enforce_eager=True, max_model_len=context, load_format="dummy", skip_tokenizer_init=True,
        distributed_executor_backend="mp", **options,
    )  # fmt: skip
    config = asked.create_engine_config()
    config.scheduler_config.async_scheduling = True
    build(config, meeting)
    layers = config.compilation_config.static_forward_context
    specs = {name: spec for name, layer in layers.items() if (spec := _spec_of(layer, config)) is not None}
    backends = [layers[name].get_attn_backend() for name in specs]
    names = [layout.name for layout in get_supported_kv_cache_layouts(backends)]
    config.cache_config.kv_cache_layout = resolve_kv_cache_layout(config, [names], list(specs.values())).name
    (pool,) = kv_cache_utils.get_kv_cache_configs(config, [specs], [kv_bytes])
    tokens, _ = kv_cache_utils.get_kv_cache_capacity(config, pool)
    needed = kv_cache_utils._max_memory_usage_bytes_from_groups(config, pool.kv_cache_groups)
    return {
        "blocks": pool.num_blocks,
        "block": config.cache_config.block_size,
        "in_flight": config.max_in_flight_tokens,
        "tokens": tokens,
        "needed": needed,
        "groups": [(len(group.layer_names), group.kv_cache_spec.block_size, group.kv_cache_spec.page_size_bytes)
                   for group in pool.kv_cache_groups],
    }  # fmt: skip


def _spec_of(layer: Any, config: Any) -> Any:
    return layer.get_kv_cache_spec(config) if isinstance(layer, AttentionLayerBase) else None
