"""Cards and host memory together: what fits where, how fast, and what others' published figures say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.facts import Unknown
from provisioner.model.record import replace
from provisioner.planning.asked.amounts import GIB, MIB
from provisioner.planning.machine.cores import thread_count
from provisioner.planning.memory import sizing
from provisioner.planning.speed.capacity import Expected
from provisioner.planning.speed.host_speed import HostSpeed, host_of, host_speed
from provisioner.planning.speed.hybrid import LAYERS, Load, Split, load_of, not_worth_fetching, tokens_per_second
from provisioner.planning.speed.rates import Situation, Span, architecture_of, span_of, values_of
from provisioner.planning.tries import ktransformers
from tests.unit.planning.samples import CATALOG, altered, machine

R1_Q4 = 404_430_000_000
ROWS = CATALOG.speed_rows()
CARDS = ("rtx3070-8g", "rtx4070-12g", "rtx4090-24g", "l40s-48g", "a100-sxm-80g")
R1_BYTES_PER_TOKEN = 70_272
"""Of the cache: 61 layers of 576 values in 16 bits."""


def span(card: str, engine: str = "llamacpp", precision: str = "q4_k_m") -> Span:
    entry = CATALOG.accelerator(card)
    situation = Situation(engine, "", "mixture", precision, architecture_of(entry))
    found = span_of(ROWS, entry, situation)
    assert isinstance(found, Span), found
    return found


def host(
    text: str,
    channels: int | None,
    mega_transfers: int = 4800,
    engine: str = "llamacpp",
    flags: tuple[str, ...] = (),
    virtualization: str | None = None,
) -> HostSpeed:
    facts = machine(text)
    facts = replace(facts, cpu=altered(facts.cpu, {"flags": flags}))
    facts = replace(facts, host=altered(facts.host, {"virtualization": virtualization}))
    known = Unknown("not read") if channels is None else channels
    facts = replace(facts, memory=altered(facts.memory, {"channels": known, "mega_transfers": mega_transfers}))
    values, _ = values_of(ROWS, Situation(engine, "", "mixture", "q4_k_m", ""))
    return host_speed(facts, thread_count(facts, None)[0], values)


def load(model: str, weights_bytes: int, precision: str, context: int = 4096) -> Load:
    shape = CATALOG.model(model).architecture
    return load_of(shape, weights_bytes, sizing.need(shape, weights_bytes, context, 1).kv_bytes, precision)


def room(card: str) -> int:
    entry = CATALOG.accelerator(card)
    return (entry.usable_bytes or entry.memory_bytes or 0) - 256 * MIB


def decode_rate(placement: ktransformers.Placement, host: HostSpeed) -> Expected:
    """Of one request that has filled half of 4096 tokens."""
    spans = (span("rtx4090-24g", "ktransformers"),)
    return tokens_per_second(placement.load, placement.split, spans, host, 2048, R1_BYTES_PER_TOKEN)


def r1_on(host_gib: float, **changes: object) -> ktransformers.Placement:
    entry = CATALOG.accelerator("rtx4090-24g")
    known = ktransformers.Machine(
        room(entry.id), entry.compute_capability, int(host_gib * GIB), ("avx2", "avx512f", "amx_int8")
    )
    shape = CATALOG.model("deepseek-r1").architecture
    return ktransformers.place(shape, R1_Q4, "q4_k_m", 4096, altered(known, changes))


def test_671b_in_four_bits_fits_one_24_gib_card_and_382_gib_of_memory() -> None:
    placement = r1_on(382 - 4)
    assert placement.problem == ""
    assert placement.methods == ("AMXINT4", "RAWINT4", "LLAMAFILE")
    assert 11.0e9 < placement.split.device_bytes[0] < 12.0e9, "11.46 GB were seen in use"
    rate = decode_rate(placement, host("1 socket, 32 cores, 382 GiB", 8, 4800, "ktransformers"))
    assert 7 < rate.usual < 10, "8.73 were published for such a socket"


def test_experts_that_the_host_has_no_room_for_go_to_the_card_if_it_has() -> None:
    """384 GiB installed leave about 366 to plan with."""
    placement = r1_on(366)
    assert (placement.problem, placement.split.card_experts) == ("", 5)
    assert placement.split.device_bytes[0] <= room("rtx4090-24g")
    assert placement.host_bytes <= 366 * GIB


def test_with_less_memory_it_is_refused_with_the_arithmetic() -> None:
    assert r1_on(252).problem == (
        "host memory must hold all experts: 367 GiB and 5 GiB beside them, 252 GiB to plan with, 120 GiB short"
    )


def test_kt_kernel_keeps_its_part_of_the_card_in_eight_bits() -> None:
    shape = CATALOG.model("deepseek-v3.2").architecture
    known = ktransformers.Machine(46 * GIB, "8.9", 400 * GIB, None)
    placement = ktransformers.place(shape, R1_Q4, "q4_k_m", 32_768, known, card_precision="fp8_block128")
    assert placement.problem == ""
    assert 25e9 < placement.split.device_bytes[0] < 31e9, "27 GB of a card are asked for"
    small = replace(known, device_budget_bytes=22 * GIB)
    assert "of one card" in ktransformers.place(shape, R1_Q4, "q4_k_m", 32_768, small, "fp8_block128").problem


def test_llama_cpp_on_a_server_alone_is_met_within_its_range() -> None:
    """R1 in 8 bits on an EPYC 9135 with 12 channels at 5600 MT/s: 7.17 tokens/s (xlab.tencent.com, 2025-03-16)."""
    needed = load("deepseek-r1", 713_000_000_000, "q8_0")
    split = Split(LAYERS, (), (), needed.reads.layers + 1)
    epyc = host("1 socket, 16 cores, 768 GiB", 12, 5600, flags=("avx512f",))
    rate = tokens_per_second(needed, split, (), epyc, 1000, 70_000)
    assert rate.low < 7.17 < rate.high
    assert 0.8 < rate.usual / 7.17 < 1.25


def test_a_small_model_gains_nothing_from_twice_as_many_cores_on_the_same_memory() -> None:
    """Threads wait for each other in each layer: 0.26 ms for 64 of them, as 14B in 4 and in 8 bits tell together (ahelpme.com/?p=6685)."""
    small = load("llama-3.2-3b-instruct", 2_020_000_000, "q4_k_m")
    split = Split(LAYERS, (), (), small.reads.layers + 1)
    few, many = (host(f"1 socket, {cores} cores, 512 GiB", 8, 5200) for cores in (96, 192))
    assert few.layer_seconds.usual == pytest.approx(96 * 4e-6)
    slower, faster = (tokens_per_second(small, split, (), one, 200, 100_000).usual for one in (many, few))
    assert slower < 0.8 * faster


@pytest.mark.parametrize(("flags", "virtualization"), [(("avx2",), None), ((), None), (("avx512f",), "kvm")])
def test_cores_that_are_no_wide_ones_of_their_own_work_through_less(
    flags: tuple[str, ...], virtualization: str | None
) -> None:
    wide = host("1 socket, 16 cores, 768 GiB", 12, 5600, flags=("avx512f",))
    found = host("1 socket, 16 cores, 768 GiB", 12, 5600, flags=flags, virtualization=virtualization)
    assert (found.usual, found.basis) == (96e9, "16 threads at 6 GB/s")
    assert (wide.usual, wide.slow) == (256e9, 96e9)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"compute_capability": "7.0"}, "no build for compute capability 7.0"),
        ({"compute_capability": "12.0"}, "no build for compute capability 12.0"),
        ({"flags": ("sse4_2",)}, "neither AVX2 nor AVX-512 nor AMX"),
        ({"device_budget_bytes": 7 * GIB}, "need 10.9 GiB of one card, 7 GiB to plan with, 3.88 GiB short"),
    ],
)
def test_hardware_without_kernels_or_room_is_refused(changes: dict[str, object], reason: str) -> None:
    assert reason in r1_on(400, **changes).problem


def test_a_dense_model_is_nothing_for_ktransformers() -> None:
    shape = CATALOG.model("deepseek-r1-distill-qwen-32b").architecture
    known = ktransformers.Machine(20 * GIB, "8.9", 64 * GIB, None)
    assert "has no experts" in ktransformers.place(shape, 19_900_000_000, "q4_k_m", 4096, known).problem


@pytest.mark.parametrize(
    ("text", "channels", "mega_transfers", "published"),
    [
        ("1 socket, 32 cores, 512 GiB", 8, 4800, 8.73),
        ("2 sockets, 64 cores, 1024 GiB", 16, 4800, 12.2),
        ("1 socket, 32 cores, 512 GiB", 8, 4400, 8.7),
        ("1 socket, 96 cores, 768 GiB", 12, 4800, 14.0),
        ("1 socket, 32 cores, 512 GiB", 8, 3200, 4.0),
    ],
)
def test_ktransformers_published_speeds_lie_in_the_range(
    text: str, channels: int, mega_transfers: int, published: float
) -> None:
    rate = decode_rate(r1_on(400), host(text, channels, mega_transfers, "ktransformers"))
    assert rate.low <= published <= rate.high
    assert 0.8 < rate.usual / published < 1.6


def test_unknown_channels_are_guessed_low_and_say_so() -> None:
    guessed, known = host("2 sockets, 64 cores, 512 GiB", None), host("2 sockets, 64 cores, 512 GiB", 16)
    assert guessed.usual < known.usual
    assert "channels not said" in guessed.basis
    assert guessed.slow < guessed.usual < guessed.fast


def test_cores_cap_the_guess_on_the_sockets_and_are_not_guessed_on_themselves() -> None:
    """Half of 20 GB/s a socket is less than two threads at 6 GB/s work through."""
    found = host("2 cores, 8 GiB", None, virtualization="kvm")
    assert (found.slow, found.usual, found.fast) == (10e9, 12e9, 18e9)
    assert found.basis == "2 threads at 6 GB/s"


@pytest.mark.parametrize(
    ("channels", "mega_transfers", "told"),
    [
        (None, 4800, "(channels not said)"),
        (0, 4800, "(channels not said)"),
        (8, 0, "(speed of the memory not said: DDR5-4800, for example)"),
        (None, 0, "(channels unknown)"),
    ],
)
def test_the_half_that_is_missing_of_what_memory_is_made_of_is_named(
    channels: int | None, mega_transfers: int, told: str
) -> None:
    found = host("1 socket, 8 cores, 64 GiB", channels, mega_transfers)
    assert (found.usual, found.basis) == (20e9, f"1 x 20 GB/s {told}")


def test_an_engine_without_rows_reads_the_same_memory_as_llama_cpp_in_a_wider_range() -> None:
    """Strong cores were measured of llama.cpp alone: they widen the range and do not raise the figure."""
    facts = machine("1 socket, 16 cores, 768 GiB DDR5-5600, 12 channels")
    facts = replace(facts, cpu=altered(facts.cpu, {"flags": ("avx512f",)}))
    own, lent = (host_of(ROWS, facts, 16, Situation(name, "", "dense", "bf16", "")) for name in ("llamacpp", "vllm"))
    assert (own.usual, lent.usual) == (256e9, 96e9)
    assert lent.slow < own.slow < own.usual < own.fast < lent.fast
    assert lent.basis.endswith("as llama.cpp's, range widened")


def test_a_slow_giant_is_called_off_before_it_is_fetched() -> None:
    told = not_worth_fetching(1.7, 5.0, R1_Q4, "DeepSeek R1 671B", "DeepSeek R1 Distill Qwen 32B", 35.2)
    assert told == (
        "DeepSeek R1 671B would make about 1.7 tokens/s here by estimate, and less than 5 is no conversation: "
        "take DeepSeek R1 Distill Qwen 32B (about 35 tokens/s) before 377 GiB are fetched"
    )
    assert not_worth_fetching(8.7, 5.0, R1_Q4, "DeepSeek R1 671B", "a smaller one", 35.2) == ""
    assert "377 GiB would be fetched" in not_worth_fetching(1.7, 5.0, R1_Q4, "DeepSeek R1 671B", "none", None)


LOADS = (
    load("deepseek-r1", 131_000_000_000, "ud_iq1_s"),
    load("gpt-oss-120b", 65_000_000_000, "mxfp4"),
    load("qwen3-30b-a3b", 18_600_000_000, "q4_k_m"),
)


@given(st.sampled_from(LOADS), st.sampled_from(CARDS), st.floats(1e9, 1e12), st.floats(1.0, 10.0))
def test_faster_memory_is_never_slower(needed: Load, card: str, rate: float, factor: float) -> None:
    split = Split(LAYERS, (5,), (room(card),), needed.reads.layers - 4)
    slower, faster = (HostSpeed(one, one, one, Expected(0.0, 0.0, 0.0), "") for one in (rate, rate * factor))
    before, after = (tokens_per_second(needed, split, (span(card),), one, 1000, 70_000) for one in (slower, faster))
    assert before.usual <= after.usual
    assert before.low <= before.usual <= before.high


@given(st.integers(0, 2000), st.integers(0, 1000))
def test_more_memory_never_turns_ktransformers_down(gib: int, more: int) -> None:
    if r1_on(gib).problem == "":
        assert r1_on(gib + more).problem == ""


@pytest.mark.parametrize(
    ("card_gib", "host_gib", "binds"), [(8, 380, "one card"), (8, 100, "host memory"), (22, 100, "host memory")]
)
def test_what_lacks_most_is_what_is_said(card_gib: int, host_gib: int, binds: str) -> None:
    assert binds in r1_on(host_gib, device_budget_bytes=card_gib * GIB).problem
