"""The roofline: what is read bounds what comes out, and more of anything never makes a plan slower."""

from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.record import replace
from provisioner.planning.memory.checkpoints import checkpoint_of
from provisioner.planning.speed.capacity import CHAT, Copies, Work, capacity, concurrent, total_rate
from provisioner.planning.speed.rates import Situation, Span, architecture_of, span_of
from provisioner.planning.speed.roofline import Rates, Reads, decode_seconds, first_token_seconds, reads_of
from tests.unit.planning.samples import CATALOG

MODELS = ("qwen3-8b", "deepseek-r1-distill-qwen-32b", "qwen3-30b-a3b", "gpt-oss-120b", "deepseek-r1")
CARDS = ("rtx4090-24g", "a100-sxm-80g", "h100-sxm-80g", "h20-3e-141g")
IDEAL = Rates(1e12, 1e15, 1e15, 1e11, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def reads(model: str, precision: str = "bf16") -> Reads:
    entry = CATALOG.model(model)
    found = checkpoint_of(entry, precision)
    assert found is not None
    return reads_of(entry.architecture, found.bytes, precision)


def span(card: str, shape: str = "dense", link: str = "none", version: str = "0.32.0") -> Span:
    entry = CATALOG.accelerator(card)
    found = span_of(
        CATALOG.speed_rows(), entry, Situation("vllm", version, shape, "bf16", architecture_of(entry), link)
    )
    assert isinstance(found, Span), found
    return found


def copies(model: str, card: str, tensor: int = 1, **changes: int) -> Copies:
    known = reads(model)
    made = Copies(known, span(card, known.shape, "nvlink" if tensor > 1 else "none"), 100_000, 100_000, 256, tensor)
    return replace(made, **changes)  # type: ignore[arg-type]


def test_a_dense_model_reads_all_its_weights_but_the_embedding_table() -> None:
    shape = CATALOG.model("qwen3-8b").architecture
    known = reads("qwen3-8b")
    assert known.touched_bytes(1) == known.touched_bytes(64)
    assert known.touched_bytes(1) == 2 * (8_190_735_360 - shape.vocab * shape.hidden)


def test_of_256_experts_one_token_reads_eight_and_many_tokens_nearly_all() -> None:
    known = reads("deepseek-r1", "fp8_block128")
    assert known.touched_expert_bytes(1) / known.expert_bytes == 8 / 256
    assert 0.21 < known.touched_expert_bytes(8) / known.expert_bytes < 0.23
    assert known.touched_expert_bytes(256) / known.expert_bytes > 0.99
    assert 36e9 < known.active_parameters < 38e9


def test_a_step_takes_what_the_slower_of_memory_and_arithmetic_takes() -> None:
    known = reads("qwen3-8b")
    assert decode_seconds(known, IDEAL, 0, 1, 0) == known.common_bytes / 1e12
    bound_by_arithmetic = replace(IDEAL, decode_flops=1e12)
    assert decode_seconds(known, bound_by_arithmetic, 0, 64, 0) == 2 * known.active_parameters * 64 / 1e12


def test_a_step_computes_at_least_one_tile_of_rows() -> None:
    known = reads_of(CATALOG.model("qwen3-8b").architecture, 16_400_000_000, "bf16")
    tiled = replace(IDEAL, decode_flops=1e13, decode_rows=48.0)
    times = [decode_seconds(known, tiled, 0, batch, 0) for batch in (1, 48, 96)]
    assert times[0] == times[1] == known.active_parameters * 2 * 48 / 1e13
    assert times[2] == 2 * times[1]


def test_what_is_no_expert_is_in_fewer_bits_where_the_files_are_smaller_than_their_precision_says() -> None:
    """gpt-oss-20b: 13.8 GB as a checkpoint with 16 bits beside the experts, 12.1 GB as GGUF with 8 (ggml-org/gpt-oss-20b-GGUF)."""
    shape = CATALOG.model("gpt-oss-20b").architecture
    checkpoint, gguf = (reads_of(shape, size, "mxfp4") for size in (13_760_000_000, 12_110_000_000))
    assert checkpoint.expert_bytes == gguf.expert_bytes
    assert 2.3e9 < checkpoint.common_bytes < 2.5e9
    assert 1.2e9 < gguf.common_bytes < 1.4e9


def test_a_prompt_alone_is_never_faster_than_the_weights_are_read() -> None:
    known = reads("qwen3-8b")
    assert first_token_seconds(known, IDEAL, 1) == known.common_bytes / 1e12
    assert first_token_seconds(known, IDEAL, 8192) > known.active_parameters * 2 * 8192 / 1e15


def test_requests_that_fill_their_context_are_bounded_by_the_cache_and_by_the_engine() -> None:
    assert concurrent(100_000, 8192, 256) == 12
    assert concurrent(100_000, 8192, 8) == 8
    assert concurrent(100_000, 8192, 256, replicas=2) == 24
    assert concurrent(8191, 8192, 256) == 0


def test_ten_people_share_a_request_unless_the_setting_says_otherwise() -> None:
    made = copies("qwen3-8b", "rtx4090-24g")
    assert capacity(made, 8192).users == 120
    assert capacity(made, 8192, ratio=4).users == 48


def test_an_estimate_says_that_it_is_one_and_what_it_rests_on() -> None:
    basis = capacity(copies("qwen3-8b", "rtx4090-24g"), 8192).basis
    assert basis.startswith("estimate: 90% of the 1008 GB/s of NVIDIA GeForce RTX 4090")
    assert "lab-dense" in basis
    assert basis.endswith("not measured here")


def test_without_known_bandwidth_there_is_a_reason_and_no_number() -> None:
    entry = replace(CATALOG.accelerator("kunlun-p800"), bandwidth_bytes_per_second=None)
    found = span_of(CATALOG.speed_rows(), entry, Situation("vllm", "", "dense", "bf16", architecture_of(entry)))
    assert found == "the memory bandwidth of P800 OAM is not known"


def test_without_known_flops_the_first_token_is_not_guessed() -> None:
    made = capacity(copies("qwen3-8b", "dgx-spark-gb10"), 8192)
    assert made.first_token_seconds is None
    assert made.alone_tokens_per_second.usual > 0


def test_tensor_parallelism_over_pcie_is_slower_than_over_nvlink_and_than_two_replicas() -> None:
    known = reads("qwen3-8b")
    pair = Copies(known, span("rtx4090-24g", link="pcie"), 73_728, 100_000, 256, tensor=2)
    linked = replace(pair, span=span("rtx4090-24g", link="nvlink"))
    apart = Copies(known, span("rtx4090-24g"), 147_456, 50_000, 256, replicas=2)
    over_pcie, over_nvlink, as_replicas = (
        capacity(one, 8192).total_tokens_per_second.usual for one in (pair, linked, apart)
    )
    assert over_pcie < over_nvlink < as_replicas


def test_stages_divide_no_request_but_the_load() -> None:
    one, two = copies("qwen3-8b", "rtx4090-24g"), copies("qwen3-8b", "rtx4090-24g", pipeline=2)
    assert capacity(two, 8192).alone_tokens_per_second == capacity(one, 8192).alone_tokens_per_second
    assert capacity(two, 8192).total_tokens_per_second.usual > capacity(one, 8192).total_tokens_per_second.usual


@given(st.sampled_from(MODELS), st.sampled_from(CARDS), st.floats(1.0, 8.0), st.integers(1, 512), st.integers(1, 65536))
def test_more_bandwidth_is_never_slower(model: str, card: str, factor: float, batch: int, context: int) -> None:
    known = reads(model)
    rates = span(card, known.shape).usual
    faster = replace(rates, bytes_per_second=rates.bytes_per_second * factor)
    assert decode_seconds(known, faster, 1000, batch, context) <= decode_seconds(known, rates, 1000, batch, context)


@given(st.sampled_from(MODELS), st.sampled_from(CARDS), st.integers(1, 512), st.integers(1, 8192), st.integers(1, 4096))
def test_slow_usual_and_fast_come_in_this_order(model: str, card: str, batch: int, prompt: int, output: int) -> None:
    made, work = copies(model, card), Work(prompt, output)
    rates = [total_rate(made, level, batch, work) for level in (made.span.slow, made.span.usual, made.span.fast)]
    assert rates == sorted(rates)
    estimate = capacity(made, 8192, work)
    for figure in (estimate.alone_tokens_per_second, estimate.stream_tokens_per_second):
        assert figure.low <= figure.usual <= figure.high
    assert estimate.first_token_seconds is not None
    assert estimate.first_token_seconds.low <= estimate.first_token_seconds.high


@given(st.sampled_from(MODELS), st.integers(1, 255))
def test_more_requests_at_a_time_make_each_slower_and_all_together_faster(model: str, batch: int) -> None:
    made = copies(model, "h100-sxm-80g")
    known, rates = made.reads, made.span.usual
    fewer, more = (decode_seconds(known, rates, 1000, count, 1000) for count in (batch, batch + 1))
    assert fewer <= more
    assert total_rate(made, rates, batch, CHAT) <= total_rate(made, rates, batch + 1, CHAT) * 1.0001


@given(st.integers(0, 10**7), st.integers(1, 10**6), st.integers(1, 4096), st.integers(1, 8))
def test_a_larger_cache_never_serves_fewer(tokens: int, context: int, sequences: int, replicas: int) -> None:
    found = concurrent(tokens, context, sequences, replicas)
    assert found <= concurrent(tokens + context, context, sequences, replicas) <= sequences * replicas
