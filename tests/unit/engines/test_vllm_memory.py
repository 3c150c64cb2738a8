"""What vLLM and SGLang take for themselves, held to the parts that engines logged; and what they refuse."""

import pytest

from provisioner.catalog import load_catalog
from provisioner.engines.sglang import ENGINE as SGLANG
from provisioner.engines.vllm import ENGINE as VLLM
from provisioner.model.load import Card, Degrees, Load, Usage
from provisioner.model.plugins import Engine
from provisioner.model.record import replace

CATALOG = load_catalog()
GIB = 1 << 30
H100 = Card("nvidia", "NVIDIA H100 80GB HBM3", int(79.18 * GIB), int(79.18 * GIB), "sm90")
L40S = Card("nvidia", "NVIDIA L40S", int(44.42 * GIB), int(44.42 * GIB), "sm89")
V100 = Card("nvidia", "Tesla V100-SXM2-32GB", 32 * GIB, 32 * GIB, "sm70")
T4 = Card("nvidia", "Tesla T4", 15 * GIB, 15 * GIB, "sm75")
A100 = Card("nvidia", "NVIDIA A100-SXM4-80GB", int(79.25 * GIB), int(79.25 * GIB), "sm80")
ASCEND = Card("ascend", "910B3", 61 * GIB, 61 * GIB, "")


ONE = Degrees()


def load(
    model: str, version: str, card: Card = H100, degrees: Degrees = ONE, precision: str = "bf16",
    engine: str = "vllm", sequences: int = 1024, batched: int = 8192, context: int = 16000,
) -> Load:  # fmt: skip
    return Load(
        geometry=CATALOG.model(model).architecture, precision=precision, degrees=degrees, card=card,
        weights_bytes=16 * GIB, kv_bytes_per_token=0, context=context, sequences=sequences, batched_tokens=batched,
        version=version, constants=CATALOG.engine(engine).constants,
    )  # fmt: skip


def usage(one: Load, engine: Engine = VLLM) -> Usage:
    assert engine.usage is not None
    return engine.usage(one)


@pytest.mark.parametrize(
    ("model", "version", "logged"),
    [
        # `torch peak memory increase`, GiB, one H100 with 1024 requests (llm-d-incubation/llm-d-planner @e50305a, @2d557dc).
        ("gpt-oss-20b", "0.11.0", 7.38), ("qwen3-32b", "0.11.0", 5.64), ("llama-3.1-8b-instruct", "0.11.0", 4.76),
        ("llama-3.1-8b-instruct", "0.19.0", 1.89), ("qwen2.5-7b-instruct", "0.19.0", 2.21),
        ("qwen3-30b-a3b", "0.19.0", 2.68), ("deepseek-v2-lite", "0.19.0", 1.93),
    ],
)  # fmt: skip
def test_the_peak_of_the_dummy_run_is_the_logged_one(model: str, version: str, logged: float) -> None:
    ours = usage(load(model, version)).activation
    assert ours.bytes / GIB == pytest.approx(logged, rel=0.06)
    assert ours.low / GIB <= logged * 1.02
    assert ours.high / GIB >= logged * 0.98


@pytest.mark.parametrize(
    ("context", "logged"),
    [(20000, 2.07), (29000, 2.99)],
    # `peak_torch_memory` less the weights, vllm#10517: without chunked prefill a step is as long as the context.
)
def test_before_chunked_prefill_the_peak_grows_with_the_context(context: int, logged: float) -> None:
    one = load("llama-3.1-8b-instruct", "0.6.4", card=L40S, context=context, sequences=256, batched=512)
    assert usage(one).activation.bytes / GIB == pytest.approx(logged, rel=0.05)
    long = replace(one, context=35000)
    assert usage(long).activation.bytes < usage(one).activation.bytes


def test_only_the_last_stage_has_logits() -> None:
    one = load("llama-3.1-8b-instruct", "0.19.0", degrees=Degrees(pipeline=2))
    first, last = (usage(replace(one, stage=stage)).activation.bytes for stage in (0, 1))
    assert first < last
    assert usage(one).activation.bytes == last
    # `Actual active`, 1.10 GiB on the stages before the last.
    assert first / GIB == pytest.approx(1.10, rel=0.05)


def test_graphs_count_inside_the_share_since_0_20_and_not_at_all_when_eager() -> None:
    assert not usage(load("qwen3-32b", "0.19.1")).graphs_inside
    assert usage(load("qwen3-32b", "0.20.2")).graphs_inside
    assert usage(replace(load("qwen3-32b", "0.28.0"), eager=True)).graphs.bytes == 0


@pytest.mark.parametrize(("version", "share"), [("0.19.1", 0.9), ("0.20.2", 0.92)])
def test_the_default_share(version: str, share: float) -> None:
    one = load("qwen3-32b", version)
    assert usage(one).budget.bytes == -int(-one.card.total_bytes * share // 1)
    assert usage(replace(one, utilization=0.5)).budget.bytes == -int(-one.card.total_bytes * 0.5 // 1)


@pytest.mark.parametrize(
    ("card", "tensor", "reserve_mib"),
    [
        # 512 + 1.5 a token of a chunk + 1024 for each eight ranks + 2 a captured batch + 8 a captured prefill length (0.5.23).
        pytest.param(L40S, 1, 512 + 4096 * 1.5 + 128 + 32 * 2 + 8 * 50, id="one L40S"),
        pytest.param(L40S, 4, 512 + 4096 * 1.5 + 512 + 160 * 2 + 8 * 50, id="four L40S"),
        pytest.param(H100, 8, 512 + 8192 * 1.5 + 1024 + 512 * 2 + 8 * 58, id="eight H100"),
    ],
)
def test_sglang_leaves_its_own_reserve_out(card: Card, tensor: int, reserve_mib: float) -> None:
    one = load("qwen3-32b", "0.5.23", card, Degrees(tensor=tensor), engine="sglang")
    reserve = card.total_bytes - usage(one, SGLANG).budget.bytes
    assert reserve / (1 << 20) == pytest.approx(reserve_mib, abs=1)


@pytest.mark.parametrize(
    ("card", "tensor", "version", "reserve_gib"),
    [
        pytest.param(H100, 4, "0.5.2", 9.5 + 4 / 2, id="four H100 in 0.5.2"),
        pytest.param(L40S, 1, "0.4.8", 9.5 + 1 / 2, id="one L40S in 0.4.8"),
        pytest.param(T4, 2, "0.5.2", 2.8 + 2 / 10, id="two T4 in 0.5.2"),
        pytest.param(H100, 1, "0.5.6", (512 + 8192 * 1.5 + 128 + 256 * 2) / 1024, id="one H100 in 0.5.6"),
    ],
)
def test_sglang_reckoned_its_reserve_otherwise_before(
    card: Card, tensor: int, version: str, reserve_gib: float
) -> None:
    one = load("qwen3-32b", version, card, Degrees(tensor=tensor), engine="sglang")
    reserve = card.total_bytes - usage(one, SGLANG).budget.bytes
    assert reserve / GIB == pytest.approx(reserve_gib, abs=0.001)


def test_older_sglang_takes_a_fraction_by_the_degree() -> None:
    for tensor, share in ((1, 0.88), (2, 0.87), (4, 0.85), (8, 0.81), (16, 0.79)):
        one = load("qwen3-32b", "0.4.6", H100, Degrees(tensor=tensor), engine="sglang")
        assert usage(one, SGLANG).budget.bytes == pytest.approx(one.card.total_bytes * share, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "precision", "degrees", "version", "cause", "remedy"),
    [
        pytest.param("qwen2.5-1.5b-instruct", "bf16", Degrees(tensor=8), "0.33.0",
                     "Total number of attention heads (12) must be divisible by tensor parallel size (8)", "1, 2 or 4",
                     id="tp-heads12-tp8"),
        pytest.param("qwen3-235b-a22b", "fp8_block128", Degrees(tensor=8), "0.8.5",
                     "output_size of gate's and up's weight = 192 is not divisible by weight quantization block_n = 128",
                     "keep the experts whole", id="blk-qwen3-235b-fp8-tp8"),
        pytest.param("qwen3-30b-a3b", "fp8_block128", Degrees(tensor=4), "0.10.2", "weight = 192", "1 or 2",
                     id="blk-qwen3-30b-fp8-tp4"),
        pytest.param("qwen3-235b-a22b", "gptq", Degrees(tensor=8), "0.8.5", "input_size_per_partition = 192",
                     "keep the experts whole", id="gptq-qwen3-235b-a800-tp8"),
        pytest.param("deepseek-r1-distill-qwen-14b", "awq", Degrees(tensor=8), "0.33.0", "1728 of the down projection",
                     "1, 2 or 4", id="13,824 columns over eight"),
        pytest.param("qwen3-30b-a3b", "bf16", Degrees(tensor=12), "0.33.0", "attention heads (32)", "1, 2, 4, 8 or 16",
                     id="twelve ranks"),
        pytest.param("qwen3-32b", "bf16", Degrees(tensor=8, decode_context=2), "0.33.0", "decode context parallel size 2",
                     "take tensor parallel", id="no copies of heads to deal tokens over"),
    ],
)  # fmt: skip
def test_degrees_that_break_a_rule_are_refused_in_the_engines_words(
    model: str, precision: str, degrees: Degrees, version: str, cause: str, remedy: str
) -> None:
    refusal = VLLM.refuses(load(model, version, degrees=degrees, precision=precision))
    assert cause in refusal
    assert remedy in refusal


@pytest.mark.parametrize(
    ("model", "precision", "degrees", "version"),
    [
        pytest.param("qwen3-235b-a22b", "fp8_block128", Degrees(tensor=8, expert=True), "0.8.5", id="experts whole"),
        pytest.param("qwen3-235b-a22b", "fp8_block128", Degrees(tensor=8), "0.32.0", id="finer scales since 0.32"),
        pytest.param("qwen3-30b-a3b", "bf16", Degrees(tensor=8), "0.33.0", id="four heads copied to eight ranks"),
        pytest.param("deepseek-r1", "fp8_block128", Degrees(tensor=16), "0.33.0", id="latent heads are not cut"),
        pytest.param(
            "kimi-k2-instruct", "int4", Degrees(tensor=8, decode_context=8), "0.33.0", id="latent rows dealt out"
        ),
        pytest.param("deepseek-r1-distill-qwen-14b", "bf16", Degrees(tensor=8), "0.33.0", id="16 bits need no steps"),
    ],
)
def test_degrees_that_keep_all_rules(model: str, precision: str, degrees: Degrees, version: str) -> None:
    assert VLLM.refuses(load(model, version, degrees=degrees, precision=precision)) == ""


@pytest.mark.parametrize(
    ("card", "precision", "model", "version", "cause"),
    [
        pytest.param(V100, "fp16", "qwen3-14b", "0.20.0", "no kernels for sm70", id="V100 after 0.19"),
        pytest.param(V100, "bf16", "qwen3-14b", "0.19.1", "take fp16", id="bf16 on V100"),
        pytest.param(V100, "awq", "qwen3-14b", "0.19.1", "needs compute capability 7.5", id="AWQ on V100"),
        pytest.param(T4, "mxfp4", "gpt-oss-20b", "0.33.0", "needs compute capability 8.0", id="MXFP4 on T4"),
        pytest.param(T4, "fp16", "deepseek-v2-lite", "0.33.0", "MLA", id="latent attention on T4"),
        pytest.param(
            ASCEND, "fp8", "qwen3-14b", "0.21.0", "910B3 has no kernels for fp8; take int8", id="fp8 on Ascend"
        ),
    ],
)
def test_cards_without_the_kernels_are_refused(
    card: Card, precision: str, model: str, version: str, cause: str
) -> None:
    assert cause in VLLM.refuses(load(model, version, card=card, precision=precision))


@pytest.mark.parametrize(
    ("card", "precision", "version"),
    [
        pytest.param(V100, "fp16", "0.19.1", id="V100 until 0.19"),
        pytest.param(V100, "gptq", "0.19.1", id="GPTQ on V100"),
        pytest.param(T4, "fp8", "0.33.0", id="fp8 weights through Marlin"),
        pytest.param(A100, "fp8_block128", "0.11.0", id="block fp8 on A100"),
        pytest.param(ASCEND, "int8", "0.21.0", id="int8 on Ascend"),
        pytest.param(replace(L40S, architecture=""), "nvfp4", "0.33.0", id="a card that nobody knows is not judged"),
    ],
)
def test_cards_with_the_kernels_are_not_refused(card: Card, precision: str, version: str) -> None:
    assert VLLM.refuses(load("qwen3-14b", version, card=card, precision=precision)) == ""


def test_graphs_of_too_many_pieces_on_ascend_until_0_9_1() -> None:
    """910b4x4-qwen3-32b-tp4 (vllm-ascend#1249)."""
    one = load("qwen3-32b", "0.9.0", card=ASCEND, degrees=Degrees(tensor=4))
    assert VLLM.refuses(one).startswith("graph capture needs 4355 streams and the device has 1920")
    assert VLLM.refuses(replace(one, eager=True)) == ""
    assert VLLM.refuses(replace(one, version="0.9.1")) == ""


def test_sglang_has_no_fp8_experts_below_sm89() -> None:
    """gpustack-glm46-fp8-a100x8: `fp8e4nv not supported`."""
    degrees = Degrees(tensor=8)
    refusal = SGLANG.refuses(load("glm-4.6", "0.5.23", A100, degrees, "fp8", engine="sglang"))
    assert refusal.startswith("fp8e4nv")
    assert SGLANG.refuses(load("glm-4.6", "0.5.23", H100, degrees, "fp8", engine="sglang")) == ""
    assert SGLANG.refuses(load("qwen3-14b", "0.5.23", A100, degrees, "fp8", engine="sglang")) == ""
