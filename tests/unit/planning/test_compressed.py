"""DeepSeek V4's cache: held to what vLLM logged, where `tests/contract/test_vllm_compressed.py` holds it to its code."""

from typing import Any

import pytest

from provisioner.model.catalog import Geometry
from provisioner.model.load import Card, Degrees, Load
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.memory import compressed, pool
from tests.unit.planning.samples import CATALOG, plan

GIB = 1 << 30
FLASH, PRO = (CATALOG.model(name).architecture for name in ("deepseek-v4-flash", "deepseek-v4-pro"))
DRAFTED = replace(FLASH, layers=46, kv_layers=46)
"""V4 Flash 0731 with DSpark: three layers more, which have a window alone."""
CARD = Card("nvidia", "H200", 141 << 30, 140 << 30, "sm90")


def load(shape: Geometry = FLASH, context: int = 65536, version: str = "0.32.0", **changes: Any) -> Load:
    one = Load(
        FLASH, "mxfp4_fp8", Degrees(), CARD, 0, 0, context, 64, 8192, version,
        constants=CATALOG.engine("vllm").constants,
    )  # fmt: skip
    return replace(one, geometry=shape, **changes)


def test_groups_are_those_of_a_log() -> None:
    """vllm-project/vllm#54703, on 0.28.1: pages of five groups."""
    kinds = compressed.layout(FLASH, Degrees(), 256).kinds
    assert [(kind.tables, kind.block, kind.block_bytes) for kind in kinds] == [
        (1, 256, 1002240), (2, 64, 823680), (1, 4, 870912), (1, 8, 656640),
    ]  # fmt: skip


def test_a_request_fills_the_blocks_of_a_log() -> None:
    """vllm-project/vllm#52495: 13,270 blocks of 1,002,240 B hold 63,859 tokens, and one request needs 7,363.6 MiB of padded ones."""
    laid = compressed.layout(DRAFTED, Degrees(), 256)
    assert laid.block_bytes == 1002240
    assert [kind.blocks(33792, 16896) for kind in laid.kinds] == [132, 2 * 267, 4227, 2129]
    one = load(DRAFTED, 33792, "0.28.0", batched_tokens=8448)
    assert pool.tokens_of(one, 13270 * 1002240) == 63859
    assert pool.request_bytes(one) / (1 << 20) == pytest.approx(7363.6, abs=0.05)


def test_a_million_tokens_need_what_a_log_says() -> None:
    """vllm-project/vllm#53961: V4 Pro with 16,384 batched tokens, `23.32 GiB KV cache is needed`."""
    assert pool.request_bytes(load(PRO, 1048576, batched_tokens=16384)) / GIB == pytest.approx(23.32, abs=0.005)


def test_older_releases_kept_windows_for_one_step() -> None:
    """vllm-project/vllm#44376, on 0.22: V4 Flash with 30,000 tokens, `6.66 GiB KV cache is needed`."""
    laid = compressed.layout(FLASH, Degrees(), 256)
    assert laid.blocks(30000, 16384) * laid.padded_bytes / GIB == pytest.approx(6.66, abs=0.005)


def test_only_rows_grow_with_the_context() -> None:
    assert pool.bytes_per_token(load(degrees=Degrees(tensor=8))) == 1002240 // 256
    short, long = (pool.request_bytes(load(context=context)) for context in (1 << 17, 1 << 18))
    assert long - short == (1 << 17) // 256 * 1002240


def test_a_stage_has_its_share_of_each_kind() -> None:
    whole = compressed.layout(FLASH, Degrees(), 256)
    halves = [compressed.layout(FLASH, Degrees(pipeline=2), 256, stage) for stage in (0, 1)]
    assert [len(half.kinds) for half in halves] == [len(whole.kinds)] * 2
    assert whole.block_bytes / 2 < max(half.block_bytes for half in halves) < 0.55 * whole.block_bytes


def test_nothing_is_promised_of_releases_and_makers_that_lay_it_out_otherwise() -> None:
    assert pool.has_law(load(version="0.27.1"))
    assert not pool.has_law(load(version="0.26.0"))
    assert not pool.has_law(load(card=replace(CARD, vendor="ascend")))
    assert not pool.has_law(load(constants=CATALOG.engine("sglang").constants))
    assert not pool.has_law(load(replace(FLASH, heavy_layers=0)))


def test_windows_are_kept_for_all_steps_in_flight() -> None:
    """vLLM 0.26.0 config/vllm.py `max_in_flight_tokens`: two steps, and one more for each further stage."""
    assert pool.in_flight(load(version="0.25.0")) == 8192
    assert pool.in_flight(load(version="0.26.0")) == 2 * 8192
    assert pool.in_flight(load(degrees=Degrees(pipeline=4))) == 5 * 8192
    assert pool.in_flight(load(card=replace(CARD, vendor="cpu"))) == 8192


ROWS = 43 * 2 * 512 * 2 + 21 * 132
"""A token as an engine without this law is counted: keys and values of every layer, and the keys of its indexers."""


def test_a_token_is_as_wide_as_its_pool_is_counted() -> None:
    """`fp8_ds_mla` is the law's; a backend that keeps 16 bits (vLLM 0.32.0 models/deepseek_v4/attention.py) is not read."""
    others = ({"constants": CATALOG.engine("sglang").constants}, {"version": "0.26.0"}, {"cache_type": "bfloat16"})
    for one in (load(**changes) for changes in others):
        assert not pool.has_law(one)
        assert pool.tokens_of(one, 65536 * ROWS, one.cache_type) == pytest.approx(
            65536 * ROWS / pool.bytes_per_token(one), rel=0.01
        )


def test_a_plan_says_one_thing_of_its_cache() -> None:
    made = plan(
        "8x H200 SXM, 2 sockets, 128 cores, 2 TiB", Spec(model="deepseek-v4-flash", engine="sglang", target="docker")
    )
    assert made.memory is not None, made.binding
    held = made.memory.per_device[0].kv_cache_bytes
    assert made.memory.kv_tokens * made.memory.kv_bytes_per_token == pytest.approx(held, rel=0.01)
