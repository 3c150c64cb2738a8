"""The law of the cache: held to the pools that engines logged, and to what must always hold."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.planning.memory import kv
from tests.unit.planning.samples import CATALOG

GIB = 1 << 30
CASES = yaml.safe_load((Path(__file__).parents[2] / "cases" / "reference.yaml").read_text())["cases"]
LOGGED = [case for case in CASES if case.get("check", {}).get("kv_bytes_per_token_per_gpu")]

GROUPED = Geometry("dense-gqa", 64, 64, 5120, 25600, 64, 8, 128, 128, vocab=151936)
LATENT = Geometry("moe-mla", 61, 61, 7168, 18432, 128, 1, 192, 128, vocab=129280, kv_lora_rank=512, rope_dimensions=64)
SPARSE = replace(LATENT, index_dimensions=128, index_heads=64)
WINDOWED = Geometry("moe-gqa-swa", 24, 24, 2880, 0, 64, 8, 64, 64, vocab=201088, sliding_window=128, sliding_layers=12)
LINEAR = Geometry(
    "dense-hybrid-gdn", 64, 16, 5120, 17408, 24, 4, 256, 256, vocab=248320, linear_layers=48, linear_state_bytes=3 << 20
)


def tokens(
    pool: int, shape: Geometry, degrees: Degrees, dtype: str = "auto", context: int = 0, *, block: int = kv.BLOCK,
    stage: int | None = None, by_requests: bool = True, states: int = 1,
) -> int:  # fmt: skip
    return kv.counts(
        (pool,), shape, degrees, dtype, context, block, kv.STEP_TOKENS, stage, by_requests=by_requests, states=states
    )[0]


@pytest.mark.parametrize(
    ("kv_tokens", "kv_gib", "layers", "kv_heads", "length", "degrees"),
    [
        # `Available KV cache memory` and `GPU KV cache size` of the cases of that name in reference.yaml.
        pytest.param(75824, 11.57, 40, 8, 128, Degrees(), id="l40s-qwen3-14b-bf16"),
        pytest.param(194192, 29.63, 40, 8, 128, Degrees(), id="l40s-qwen3-14b-awq"),
        pytest.param(59632, 9.1, 40, 8, 128, Degrees(), id="l4-qwen3-14b-awq-tp1"),
        pytest.param(1037152, 23.74, 48, 4, 128, Degrees(tensor=4), id="l40sx4-qwen3coder30b-bf16-tp4"),
        pytest.param(138064, 18.96, 36, 8, 128, Degrees(), id="rtx5090-qwen3-4b-bf16-128k"),
        pytest.param(840160, 102.56, 32, 8, 128, Degrees(), id="gb10-mistral7b-gptq"),
        pytest.param(463136, 35.34, 40, 8, 64, Degrees(), id="l40s-granite40micro-fp8"),
        pytest.param(410128, 51.63, 33, 8, 128, Degrees(), id="h100-llama31-8b-eagle, with its drafter's layer"),
        pytest.param(21840, 4.0, 48, 8, 128, Degrees(), id="cpu-distill14b-4gib"),
        pytest.param(149712, 8.0, 28, 4, 128, Degrees(), id="rtx4080-qwen25-7b-awq"),
    ],
)
def test_tokens_of_a_pool_are_the_logged_ones(
    kv_tokens: int, kv_gib: float, layers: int, kv_heads: int, length: int, degrees: Degrees
) -> None:
    shape = Geometry("dense-gqa", layers, layers, heads=32, kv_heads=kv_heads, key_length=length, value_length=length)
    assert tokens(int(kv_gib * GIB), shape, degrees) == pytest.approx(kv_tokens, rel=0.0025)


def test_latent_rows_of_a_pipeline_are_cut_by_stages_and_by_nothing_else() -> None:
    """v2lite-l4x4-tp2pp2: stages of 14 and 13 layers had 12.13 and 11.33 GiB, and 807,792 tokens were logged."""
    model = CATALOG.model("deepseek-v2-lite").architecture
    degrees = Degrees(tensor=2, pipeline=2)
    assert kv.bytes_per_token(model, degrees, stage=0) == 16128
    assert kv.bytes_per_token(model, degrees, stage=1) == 13 * 1152
    assert kv.bytes_per_token(model, degrees) == 16128
    pools = (tokens(int(12.13 * GIB), model, degrees, stage=0), tokens(int(11.33 * GIB), model, degrees, stage=1))
    assert min(pools) == pytest.approx(807792, rel=0.0025)


@pytest.mark.parametrize("case", LOGGED, ids=[case["id"] for case in LOGGED])
def test_bytes_for_each_token_are_those_that_the_logs_come_to(case: dict[str, dict[str, int]]) -> None:
    published = case["check"]["kv_bytes_per_token_per_gpu"]
    logged = case["result"].get("kv_gib_per_gpu"), case["result"].get("kv_tokens")
    if logged[0] and logged[1] and logged[0] > 0:
        assert logged[0] * GIB / logged[1] == pytest.approx(published, rel=0.012)


@pytest.mark.parametrize(
    ("shape", "degrees", "dtype", "expected"),
    [
        pytest.param(GROUPED, Degrees(), "auto", 262144, id="all heads"),
        pytest.param(GROUPED, Degrees(tensor=4), "auto", 65536, id="heads are cut"),
        pytest.param(GROUPED, Degrees(tensor=16), "auto", 32768, id="one head is the least"),
        pytest.param(GROUPED, Degrees(pipeline=4), "auto", 65536, id="stages"),
        pytest.param(GROUPED, Degrees(), "fp8_e4m3", 131072, id="eight bits"),
        pytest.param(LATENT, Degrees(tensor=8), "auto", 70272, id="a latent row is whole on every rank"),
        pytest.param(LATENT, Degrees(tensor=8), "fp8", 35136, id="a latent row in eight bits"),
        pytest.param(LATENT, Degrees(tensor=8, decode_context=8), "auto", 8784, id="tokens are dealt out"),
        pytest.param(SPARSE, Degrees(), "auto", 61 * (1152 + 132), id="the indexer's keys come on top"),
        pytest.param(
            replace(SPARSE, index_layers=21),
            Degrees(),
            "auto",
            61 * 1152 + 21 * 132,
            id="only some layers have an indexer",
        ),
        pytest.param(SPARSE, Degrees(), "fp8", 61 * (656 + 132), id="sparse attention has its own row in eight bits"),
        pytest.param(WINDOWED, Degrees(), "auto", 24576, id="windows do not grow"),
        pytest.param(LINEAR, Degrees(tensor=2), "auto", 32768, id="linear layers do not grow"),
    ],
)
def test_bytes_per_token(shape: Geometry, degrees: Degrees, dtype: str, expected: int) -> None:
    assert kv.bytes_per_token(shape, degrees, dtype) == expected


def test_decode_context_multiplies_the_tokens() -> None:
    """kimi-k2-thinking: 715,072 tokens at TP 8, and exactly eight times as many with DCP 8."""
    whole = tokens(int(46.8 * GIB), LATENT, Degrees(tensor=8))
    assert whole == pytest.approx(715072, rel=0.0025)
    assert tokens(int(46.8 * GIB), LATENT, Degrees(tensor=8, decode_context=8)) == 8 * whole


@pytest.mark.parametrize(
    ("model", "pool_gib", "context", "expected"),
    [
        pytest.param("qwen3.6-35b-a3b", 5.98, 131072, 567978, id="noonghunna/club-3090#612, vLLM 0.24"),
        pytest.param("qwen3.8-27b", 5.42, 163840, 165316, id="qwen38-27b-5090-eager-160k"),
    ],
)
def test_hybrid_models_count_what_requests_of_full_length_can_hold(
    model: str, pool_gib: float, context: int, expected: int
) -> None:
    shape = CATALOG.model(model).architecture
    assert tokens(int(pool_gib * GIB), shape, Degrees(), "fp8", context, states=2) == pytest.approx(expected, rel=0.01)


def test_what_one_request_takes_is_what_the_engine_says_it_needs() -> None:
    """`6.56 GiB KV cache is needed` for 204,800 tokens (qwen38-27b-5090-eager-160k), and 10.00 for 40,960 (4090-qwen3-32b)."""
    hybrid, plain = (CATALOG.model(name).architecture for name in ("qwen3.8-27b", "qwen3-32b"))
    assert kv.request_bytes(hybrid, Degrees(), "fp8", 204800, states=2) / GIB == pytest.approx(6.56, abs=0.005)
    assert kv.request_bytes(plain, Degrees(), "auto", 40960) == 10 * GIB


def test_layers_with_narrower_rows_have_more_of_them_in_a_block() -> None:
    """Pages are equal: 32 tokens of a sliding layer with half the heads where full attention has 16."""
    shape = replace(WINDOWED, sliding_layers=12, sliding_window=1024, sliding_kv_heads=4)
    found = kv.groups(shape, Degrees())
    assert [group.row_bytes for group in found] == [2048, 1024]
    blocks = 8192 // 16 + -(-(1023 + 2048) // 32) + 1
    assert kv.request_bytes(shape, Degrees(), "auto", 8192) == blocks * 12 * 16 * 2048


def test_older_releases_share_blocks_evenly_over_the_groups() -> None:
    blocks = GIB // (16 * 2048 * 12)
    assert tokens(GIB, WINDOWED, Degrees(), context=16000, by_requests=False) == blocks // 2 * 16
    assert tokens(GIB, WINDOWED, Degrees(), context=16000) > tokens(
        GIB, WINDOWED, Degrees(), context=16000, by_requests=False
    )


@pytest.mark.parametrize(
    ("layers", "stages", "expected"),
    [(27, 2, (14, 13)), (61, 4, (15, 15, 16, 15)), (64, 4, (16, 16, 16, 16)), (5, 3, (2, 2, 1)), (30, 4, (7, 8, 8, 7))],
)
def test_layers_are_dealt_out_as_vllm_deals_them(layers: int, stages: int, expected: tuple[int, ...]) -> None:
    assert Degrees(pipeline=stages).stage_layers(layers) == expected


def test_before_latent_attention_every_head_was_cached() -> None:
    """coderv2-h100x8-v054: 60 layers, 16 heads a rank, padded to 256."""
    shape = replace(LATENT, layers=60, kv_layers=60)
    assert kv.bytes_per_token(kv.uncompressed(shape), Degrees(tensor=8)) == 60 * 16 * 2 * 256 * 2
    assert kv.uncompressed(GROUPED) is GROUPED


tensors = st.sampled_from((1, 2, 4, 8, 16, 32))
shapes = st.sampled_from((GROUPED, LATENT, SPARSE, WINDOWED, LINEAR))


@given(shape=shapes, tensor=tensors, pipeline=st.integers(1, 8))
def test_more_ranks_never_cache_more_on_one(shape: Geometry, tensor: int, pipeline: int) -> None:
    one = kv.bytes_per_token(shape, Degrees(tensor, pipeline))
    assert kv.bytes_per_token(shape, Degrees(2 * tensor, pipeline)) <= one
    assert kv.bytes_per_token(shape, Degrees(tensor, pipeline + 1)) <= one
    if shape.kv_lora_rank:
        assert one == kv.bytes_per_token(shape, Degrees(1, pipeline))


@given(shape=shapes, pool=st.integers(0, 1 << 40), more=st.integers(0, 1 << 36), context=st.integers(1, 1 << 18))
def test_a_larger_pool_never_holds_less(shape: Geometry, pool: int, more: int, context: int) -> None:
    small = tokens(pool, shape, Degrees(), context=context)
    assert 0 <= small <= tokens(pool + more, shape, Degrees(), context=context)


@given(pool=st.integers(1 << 20, 1 << 40), block=st.sampled_from((16, 32, 64, 128)), tensor=tensors)
def test_whole_blocks_and_no_byte_more_than_the_pool(pool: int, block: int, tensor: int) -> None:
    degrees = Degrees(tensor=tensor)
    held = tokens(pool, GROUPED, degrees, block=block)
    each = kv.bytes_per_token(GROUPED, degrees)
    assert held % block == 0
    assert held * each <= pool < (held + block) * each
