"""What is left for the cache of a rank, and whether an engine starts with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.engines.sglang import ENGINE as SGLANG
from provisioner.engines.vllm import ENGINE as VLLM
from provisioner.model.catalog import Geometry
from provisioner.model.load import Card, Degrees, Load, Usage
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.planning.memory import kv, pool, sharding
from tests.unit.planning.samples import CATALOG

GIB = 1 << 30
ONE = Degrees()
SHAPES = tuple(
    CATALOG.model(name).architecture for name in ("qwen3-14b", "qwen3-30b-a3b", "deepseek-v2-lite", "gpt-oss-20b")
)


def load(
    geometry: Geometry = SHAPES[0],
    total: float = 44.42,
    weights: float = 27.51,
    context: int = 40960,
    version: str = "0.28.0",
    degrees: Degrees = ONE,
    engine: str = "vllm",
) -> Load:
    size = int(total * GIB)
    return Load(
        geometry=geometry,
        precision="bf16",
        degrees=degrees,
        card=Card("nvidia", "NVIDIA L40S", size, size, "sm89"),
        weights_bytes=int(weights * GIB),
        kv_bytes_per_token=kv.bytes_per_token(geometry, degrees),
        context=context,
        sequences=256,
        batched_tokens=2048,
        version=version,
        constants=CATALOG.engine(engine).constants,
    )


def usage_of(one: Load, engine: Engine = VLLM) -> Usage:
    assert engine.usage is not None
    return engine.usage(one)


def pool_of(one: Load, engine: Engine = VLLM) -> pool.Pool:
    return pool.pool(one, usage_of(one, engine))


def test_a_pool_that_was_logged() -> None:
    """l40s-qwen3-14b-bf16: 11.57 GiB and 75,824 tokens at the default share."""
    found = pool_of(load())
    assert found.problem == ""
    assert found.missing_bytes == 0
    assert found.kv_bytes / GIB == pytest.approx(11.57, rel=0.03)
    assert found.tokens == pytest.approx(75824, rel=0.03)
    assert found.low_tokens < found.tokens < found.high_tokens


def test_it_does_not_start_without_room_for_one_request_of_the_full_context() -> None:
    found = pool_of(load(context=131072))
    assert found.problem.startswith("20 GiB of cache are needed for one request of 131072 tokens, 11.6 GiB are left")
    assert found.missing_bytes == 131072 * 163840 - found.kv_bytes
    assert found.binding == "weights"


def test_it_does_not_start_without_any_room() -> None:
    found = pool_of(load(weights=42))
    assert found.problem.startswith("no memory for the cache: weights 42 GiB + activations")
    assert found.kv_bytes < 0
    assert found.tokens == 0
    assert found.missing_bytes == 40960 * 163840 - found.kv_bytes


def test_it_does_not_start_when_its_share_is_not_free() -> None:
    one = load()
    found = pool_of(replace(one, card=replace(one.card, free_bytes=40 * GIB)))
    assert found.problem.startswith("40 GiB are free on the device, less than the engine's share of 40.9 GiB")
    assert found.missing_bytes == usage_of(one).budget.bytes - 40 * GIB


def test_older_releases_capture_their_graphs_in_what_the_share_leaves_free() -> None:
    """a10x4-qwen3-30b-bf16-tp4: the cache fitted, and then memory ran out."""
    one = load(SHAPES[1], total=22.0, weights=14.25, context=8192, version="0.8.5", degrees=Degrees(tensor=4))
    found = pool_of(one)
    assert "out of memory at their capture" in found.problem
    assert found.kv_bytes > found.needed_bytes
    assert found.missing_bytes == -found.free_bytes
    assert pool_of(replace(one, eager=True)).problem == ""
    assert pool_of(replace(one, version="0.28.0")).problem == ""


def test_some_releases_want_room_for_all_stages_on_each() -> None:
    """gh200x2-minimax-m21-awq-pp2 (vllm#34076)."""
    one = load(weights=10, context=131072, version="0.15.1", degrees=Degrees(pipeline=2))
    assert pool_of(one).needed_bytes == 131072 * 163840
    assert pool_of(replace(one, version="0.17.1")).needed_bytes == 131072 * 163840 // 2


def test_a_checkpoint_may_ask_for_a_cache_of_eight_bits() -> None:
    one = replace(load(), precision="nvfp4")
    assert pool.cache_type("auto", one) == "fp8"
    assert pool.cache_type("bfloat16", one) == "bfloat16"
    assert pool.cache_type("auto", replace(one, version="0.13.0")) == "auto"
    assert pool.cache_type("", load()) == "auto"


def test_nothing_is_promised_of_a_cache_without_a_law() -> None:
    one = replace(load(), geometry=replace(SHAPES[0], kind="moe-mla-compressed-sparse"))
    assert not pool.has_law(one)
    assert pool_of(one).needed_bytes == 0


def test_the_tightest_stage_sets_the_pool_of_a_pipeline() -> None:
    """v2lite-l4x4-tp2pp2: the stage with 14 of 27 layers, though the last one has the sampler."""
    shape = CATALOG.model("deepseek-v2-lite").architecture
    degrees = Degrees(tensor=2, pipeline=2)
    weights = sharding.stage_bytes(shape, 31412968448, "bf16", degrees)
    stages = [
        replace(
            load(shape, total=21.99, context=1024, version="0.9.2", degrees=degrees), weights_bytes=size, stage=stage
        )
        for stage, size in enumerate(weights)
    ]
    pools = [pool_of(stage) for stage in stages]
    tight = pool.tightest(pools)
    assert tight is pools[0]
    assert pools[0].kv_bytes > pools[1].kv_bytes
    assert tight.tokens == pytest.approx(807792, rel=0.03)


@given(
    shape=st.sampled_from(SHAPES),
    total=st.floats(8, 200),
    weights=st.floats(1, 150),
    version=st.sampled_from(("0.6.4", "0.8.5", "0.11.0", "0.19.1", "0.28.0", "0.33.0")),
    tensor=st.sampled_from((1, 2, 4, 8)),
    engine=st.sampled_from((VLLM, SGLANG)),
)
def test_parts_add_up_to_the_byte_and_the_range_holds_what_is_expected(
    shape: Geometry, total: float, weights: float, version: str, tensor: int, engine: Engine
) -> None:
    one = load(shape, total, weights, version=version, degrees=Degrees(tensor=tensor), engine=engine.name)
    used, found = usage_of(one, engine), pool_of(one, engine)
    inside = used.graphs.bytes if used.graphs_inside else 0
    assert one.weights_bytes + used.activation.bytes + used.runtime.bytes + inside + found.kv_bytes == used.budget.bytes
    outside = 0 if used.graphs_inside else used.graphs.bytes
    assert used.budget.bytes + outside + found.free_bytes == one.card.free_bytes
    for part in (used.budget, used.activation, used.runtime, used.graphs):
        assert 0 <= part.low <= part.bytes <= part.high
        assert part.basis
    assert found.low_bytes <= found.kv_bytes <= found.high_bytes
    assert bool(found.problem) == (found.missing_bytes > 0)


@given(
    total=st.floats(20, 100),
    more=st.floats(0, 100),
    context=st.integers(1024, 131072),
    version=st.sampled_from(("0.11.0", "0.28.0")),
)
def test_more_memory_never_stops_an_engine_that_started(total: float, more: float, context: int, version: str) -> None:
    one = load(total=total, context=context, version=version)
    if not pool_of(one).problem:
        assert not pool_of(load(total=total + more, context=context, version=version)).problem


def test_the_pools_of_sglang_are_cut_by_fixed_shares() -> None:
    """4090x2-qwen35-9b-sglang: of 9.48 GiB linear states had 4.48, and 5.00 GiB of cache 327310 tokens."""
    shape = CATALOG.model("qwen3.5-9b").architecture
    one = load(shape, total=23.53, version="0.5.10", degrees=Degrees(tensor=2), engine="sglang")
    found = pool_of(replace(one, cache_bytes=int(9.49 * GIB)), SGLANG)
    assert found.tokens == pytest.approx(327310, rel=0.005)


def test_windows_have_fewer_tokens_than_full_attention_in_sglang() -> None:
    """Layers of gpt-oss are half and half, so a token takes nine tenths of what it would without windows."""
    shape = CATALOG.model("gpt-oss-20b").architecture
    one = load(shape, total=79.2, version="0.5.10", engine="sglang")
    found = pool_of(replace(one, cache_bytes=9 * GIB), SGLANG)
    full = pool_of(replace(one, geometry=replace(shape, sliding_layers=0), cache_bytes=10 * GIB), SGLANG)
    assert found.tokens == pytest.approx(full.tokens, rel=0.001)


def test_one_card_of_the_first_engine_samples_nothing_where_prompts_are_cut() -> None:
    """a10g-llama31-8b-128k: 0.22 GiB of activations at 131072 tokens of context, the sampler's 1.2 below 32769."""
    shape = CATALOG.model("llama-3.1-8b-instruct").architecture
    one = load(shape, total=22.07, context=131072, version="0.7.1")
    assert usage_of(one).activation.bytes == pytest.approx(0.22 * GIB, rel=0.05)
    assert usage_of(replace(one, context=8192)).activation.bytes > GIB


def test_the_device_s_own_context_is_counted_until_0_9_0() -> None:
    before, after = (usage_of(load(total=23.5, version=version)).runtime.bytes for version in ("0.9.0", "0.9.1"))
    assert before > after
