"""The cache of DeepSeek V4 against vLLM itself: its own layers, as wide as they are, say what they keep, and its own code counts them."""

import json
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

from provisioner.model.load import Card, Degrees, Load
from provisioner.planning.memory import compressed, pool
from provisioner.weights.hfconfig import geometry_of_config
from tests.bed import shapes
from tests.bed.engine import Engine
from tests.unit.planning.samples import CATALOG

FLASH = json.loads((Path(__file__).parents[1] / "unit" / "weights" / "configs" / "deepseek-v4-flash.json").read_text())
POOL = 20 << 30
CARD = Card("nvidia", "H200", 141 << 30, 140 << 30, "sm90")

pytestmark = pytest.mark.needs("vllm")


def config(windows: int, light: int, heavy: int) -> dict[str, Any]:
    """V4 Flash with other numbers of layers, and so few experts that they are soon made."""
    mixed = list(chain.from_iterable(zip(repeat(4, min(light, heavy)), repeat(128), strict=False)))
    ratios = [0] * windows + mixed + [4] * (light - len(mixed) // 2) + [128] * (heavy - len(mixed) // 2)
    few = {"num_hidden_layers": len(ratios), "n_routed_experts": 8, "compress_ratios": [*ratios, 0]}
    return {**FLASH["config"], **few}


@pytest.mark.parametrize(
    ("windows", "light", "heavy"),
    [
        pytest.param(2, 21, 20, id="flash"),
        pytest.param(0, 30, 31, id="pro"),
        pytest.param(0, 5, 5, id="as many of both"),
        pytest.param(7, 3, 2, id="mostly windows", marks=pytest.mark.thorough),
        pytest.param(0, 2, 9, id="mostly heavy", marks=pytest.mark.thorough),
    ],
)
def test_blocks_needs_and_tokens(engine: Engine, windows: int, light: int, heavy: int) -> None:
    shape = config(windows, light, heavy)
    geometry = geometry_of_config(shape)
    assert (geometry.index_layers, geometry.heavy_layers) == (light, heavy)
    folder = engine.config_only(f"v4-{windows}-{light}-{heavy}", shape)
    constants = CATALOG.engine("vllm").constants
    for context, step in ((65536, 8192), (1000, 2048)):
        options = {"kv_cache_dtype": "fp8", "max_num_batched_tokens": step, "block_size": 256}
        seen = engine("laid_out", folder=str(folder), kv_bytes=POOL, context=context, options=options)
        load = Load(geometry, "mxfp4_fp8", Degrees(), CARD, 0, 0, context, 64, step, "0.32.0", constants=constants)
        laid = compressed.layout(geometry, Degrees(), seen["block"])
        assert seen["block"] == compressed.BLOCK
        assert pool.in_flight(load) == seen["in_flight"]
        assert sum(kind.tables for kind in laid.kinds) == len(seen["groups"])
        assert laid.block_bytes == max(group[2] for group in seen["groups"])
        assert POOL // laid.block_bytes == seen["blocks"]
        assert pool.request_bytes(load) == seen["needed"]
        assert pool.tokens_of(load, POOL) == seen["tokens"]


@pytest.mark.parametrize("name", ["half-sliding", "mostly-sliding"])
def test_windows_of_other_models_are_kept_for_two_steps_as_well(engine: Engine, name: str) -> None:
    shape = shapes.config(name, max_position_embeddings=65536)
    folder = engine.config_only(f"far-{name}", shape)
    options = {"max_num_batched_tokens": 1024}
    seen = engine("laid_out", folder=str(folder), kv_bytes=POOL, context=65536, options=options)
    constants = CATALOG.engine("vllm").constants
    load = Load(
        geometry_of_config(shape), "bf16", Degrees(), CARD, 0, 0, 65536, 64, 1024, "0.32.0", constants=constants
    )
    assert pool.tokens_of(load, POOL, block=seen["block"]) == seen["tokens"]
    assert pool.request_bytes(load, block=seen["block"]) == seen["needed"]
