"""The planner's cache arithmetic against vLLM itself, to the byte and the token, for every shape of model."""

import json
from pathlib import Path
from typing import Any

import pytest

from provisioner.model.catalog import Geometry
from provisioner.model.load import Card, Degrees, Load
from provisioner.planning.memory import kv, pool
from provisioner.weights.hfconfig import geometry_of_config
from tests.bed.engine import Engine
from tests.bed.shapes import SHAPES
from tests.unit.planning.samples import CATALOG

POOL = 64 << 20
ONE = Degrees()
CARD = Card("cpu", "the processor", 64 << 30, 64 << 30, "none")
OPTIONS: dict[str, dict[str, Any]] = {"linear": {"mamba_ssm_cache_dtype": "bfloat16"}}
"""States are kept in 16 bits on cards unless the model says otherwise; on a processor the engine would widen them."""
FP8 = ("gqa", "mha", "one-kv-head", "mostly-sliding")

pytestmark = pytest.mark.needs("vllm")


def asked(engine: Engine, name: str, context: int, words: int = 4, **options: Any) -> tuple[Geometry, dict[str, Any]]:
    """The shape as its own `config.json` says it, and what the engine made of a pool before it wrote some words."""
    folder = engine.model(name)
    geometry = geometry_of_config(json.loads((Path(folder) / "config.json").read_text()))
    return geometry, engine("cache", folder=str(folder), kv_bytes=POOL, context=context, options=options, words=words)


def agree(geometry: Geometry, seen: dict[str, Any], context: int, dtype: str, version: str = "0.32.0") -> None:
    groups = seen["groups"]
    growing = [group for group in groups if group["row"] and not group["window"]]
    sliding = [group for group in groups if group["window"]]
    linear = [group for group in groups if group["state"]]
    assert sum(group["layers"] * group["row"] for group in growing) == kv.bytes_per_token(geometry, ONE, dtype)
    assert {group["row"] for group in growing + sliding} <= {kv.row_bytes(geometry, ONE, dtype)}
    assert sum(group["layers"] for group in sliding) == geometry.sliding_layers
    assert {group["window"] for group in sliding} <= {geometry.sliding_window}
    assert sum(group["layers"] for group in linear) == geometry.linear_layers
    assert {group["state"] for group in linear} <= {kv.state_bytes(geometry, ONE)}
    constants = CATALOG.engine("vllm").constants
    load = Load(
        geometry, "bf16", ONE, CARD, 0, 0, context, 4, seen["step"], version, cache_type=dtype, constants=constants
    )
    assert pool.bytes_per_token(load) == kv.bytes_per_token(geometry, ONE, dtype)
    assert pool.tokens_of(load, POOL, dtype, seen["block"]) == seen["tokens"]


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape(engine: Engine, name: str) -> None:
    geometry, seen = asked(engine, name, 1024, **OPTIONS.get(name, {}))
    agree(geometry, seen, 1024, "auto")


@pytest.mark.parametrize("name", FP8)
def test_a_cache_in_8_bits(engine: Engine, name: str) -> None:
    geometry, seen = asked(engine, name, 2048, kv_cache_dtype="fp8")
    agree(geometry, seen, 2048, "fp8")


def test_a_latent_cache_in_8_bits(engine: Engine) -> None:
    """It is laid out, and that is all: most processors have no kernel that would read it."""
    geometry, seen = asked(engine, "mla", 2048, words=0, kv_cache_dtype="fp8")
    agree(geometry, seen, 2048, "fp8")


def test_a_request_holds_one_state_where_prefixes_are_not_kept(engine: Engine) -> None:
    """As releases before 0.28 had it for such models unless they were asked."""
    geometry, seen = asked(engine, "linear", 1024, enable_prefix_caching=False, **OPTIONS["linear"])
    agree(geometry, seen, 1024, "auto", version="0.27.1")


@pytest.mark.parametrize("context", [640, 1000, 4096])
@pytest.mark.parametrize("name", ["gqa", "mostly-sliding"])
def test_other_contexts(engine: Engine, name: str, context: int) -> None:
    geometry, seen = asked(engine, name, context)
    agree(geometry, seen, context, "auto")
