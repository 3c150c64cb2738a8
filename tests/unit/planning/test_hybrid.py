"""Cards and host memory together: what fits where, how fast, and what others' published figures say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.facts import Unknown
from provisioner.model.record import replace
from provisioner.planning import ktransformers, sizing
from provisioner.planning.amounts import GIB, MIB
from provisioner.planning.capacity import Expected
from provisioner.planning.cores import thread_count
from provisioner.planning.host_speed import HostSpeed, host_speed
from provisioner.planning.hybrid import (
    CardRoom,
    Load,
    Split,
    by_experts,
    by_layers,
    load_of,
    not_worth_fetching,
    rule_of_thumb,
    tokens_per_second,
)
from provisioner.planning.rates import Situation, Span, architecture_of, span_of, values_of
from tests.unit.planning.samples import CATALOG, altered, machine

R1_Q4 = 404_430_000_000
ROWS = CATALOG.speed_rows()
CARDS = ("rtx3070-8g", "rtx4070-12g", "rtx4090-24g", "l40s-48g", "a100-sxm-80g")


def span(card: str, engine: str = "llamacpp", precision: str = "q4_k_m") -> Span:
    entry = CATALOG.accelerator(card)
    situation = Situation(engine, "", "mixture", precision, architecture_of(entry))
    found = span_of(ROWS, entry, situation)
    assert isinstance(found, Span), found
    return found


def host(text: str, channels: int | None, mega_transfers: int = 4800, engine: str = "llamacpp") -> HostSpeed:
    facts = machine(text)
    known = Unknown("not read") if channels is None else channels
    facts = replace(facts, memory=altered(facts.memory, {"channels": known, "mega_transfers": mega_transfers}))
    values, _ = values_of(ROWS, Situation(engine, "", "mixture", "q4_k_m", ""))
    return host_speed(facts, thread_count(facts, None)[0], values)


def load(model: str, weights_bytes: int, precision: str, context: int = 4096) -> Load:
    shape = CATALOG.model(model).architecture
    return load_of(sizing.need(shape, weights_bytes, context, 1), shape, precision)


def room(card: str) -> CardRoom:
    entry = CATALOG.accelerator(card)
    return CardRoom(card, (entry.usable_bytes or entry.memory_bytes or 0) - 256 * MIB)


def r1_on(host_gib: float, **changes: object) -> ktransformers.Placement:
    entry = CATALOG.accelerator("rtx4090-24g")
    known = ktransformers.Machine(
        room(entry.id).budget_bytes, entry.compute_capability, int(host_gib * GIB), ("avx2", "avx512f", "amx_int8")
    )
    shape = CATALOG.model("deepseek-r1").architecture
    return ktransformers.place(shape, R1_Q4, "q4_k_m", 4096, altered(known, changes))


@pytest.mark.parametrize(
    ("model", "weights_bytes", "card", "context"),
    [
        ("deepseek-r1-distill-qwen-7b", 4_680_000_000, "rtx3070-8g", 8192),
        ("deepseek-r1-distill-qwen-14b", 8_990_000_000, "rtx4070-12g", 4096),
        ("deepseek-r1-0528-qwen3-8b", 5_030_000_000, "rtx4070-12g", 8192),
    ],
)
def test_the_small_appliances_fit_wholly_on_their_card(model: str, weights_bytes: int, card: str, context: int) -> None:
    needed = load(model, weights_bytes, "q4_k_m", context)
    split = by_layers(needed, (room(card),), 28 * GIB)
    assert (split.host_layers, split.problem) == (0, "")
    assert split.device_bytes[0] <= room(card).budget_bytes
    rate = tokens_per_second(needed, split, (span(card),), host("1 socket, 8 cores, 32 GiB", 2, 3200), 1000, 100_000)
    assert 30 < rate.usual < 90


@pytest.mark.parametrize(("vram", "layers"), [(24, (7, 5, 4, 2)), (80, (33, 26, 22, 19)), (160, (61, 57, 49, 42))])
def test_the_rule_of_thumb_gives_its_makers_table_but_for_one_cell(vram: int, layers: tuple[int, ...]) -> None:
    """Their table has 32 in its last cell, where their formula gives 42."""
    assert tuple(rule_of_thumb(vram, file) for file in (131, 158, 183, 212)) == layers


def test_what_the_rule_of_thumb_leaves_out_is_counted_here() -> None:
    """Layers of R1 in 1.58 bits on a card: their flat four are more than buffers and cache take, which grow with the context."""
    short = by_layers(load("deepseek-r1", 131_000_000_000, "ud_iq1_s", 4096), (room("rtx4090-24g"),), 128 * GIB)
    long = by_layers(load("deepseek-r1", 131_000_000_000, "ud_iq1_s", 131_072), (room("rtx4090-24g"),), 128 * GIB)
    assert short.n_gpu_layers > long.n_gpu_layers > rule_of_thumb(24, 131)
    assert all(one.device_bytes[0] <= room("rtx4090-24g").budget_bytes for one in (short, long))


def test_671b_in_four_bits_fits_one_24_gib_card_and_382_gib_of_memory() -> None:
    placement = r1_on(382 - 4)
    assert placement.problem == ""
    assert placement.methods == ("AMXINT4", "RAWINT4", "LLAMAFILE")
    assert placement.copies == 1
    assert 11.0e9 < placement.split.device_bytes[0] < 12.0e9, "11.46 GB were seen in use"
    rate = ktransformers.decode_rate(
        placement,
        span("rtx4090-24g", "ktransformers"),
        host("1 socket, 32 cores, 382 GiB", 8, 4800, "ktransformers"),
        4096,
    )
    assert 7 < rate.usual < 10, "8.73 were published for such a socket"


def test_experts_that_the_host_has_no_room_for_go_to_the_card_if_it_has() -> None:
    """384 GiB installed leave about 366 to plan with."""
    placement = r1_on(366)
    assert (placement.problem, placement.split.card_experts) == ("", 5)
    assert placement.split.device_bytes[0] <= room("rtx4090-24g").budget_bytes
    assert placement.split.host_bytes <= 366 * GIB


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
    split = by_layers(needed, (), 760 * GIB)
    assert split.problem == ""
    rate = tokens_per_second(needed, split, (), host("1 socket, 48 cores, 768 GiB", 12, 5600), 1000, 70_000)
    assert rate.low < 7.17 < rate.high
    assert 0.8 < rate.usual / 7.17 < 1.25


def test_two_sockets_with_a_terabyte_hold_a_copy_each() -> None:
    assert r1_on(1020, sockets=2).copies == 2
    assert r1_on(500, sockets=2).copies == 1


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
    rate = ktransformers.decode_rate(
        r1_on(400),
        span("rtx4090-24g", "ktransformers"),
        host(text, channels, mega_transfers, "ktransformers"),
        4096,
    )
    assert rate.low <= published <= rate.high
    assert 0.8 < rate.usual / published < 1.6


def test_unknown_channels_are_guessed_low_and_say_so() -> None:
    guessed, known = host("2 sockets, 64 cores, 512 GiB", None), host("2 sockets, 64 cores, 512 GiB", 16)
    assert guessed.usual < known.usual
    assert "channels unknown" in guessed.basis
    assert guessed.slow < guessed.usual < guessed.fast


def test_offloading_experts_beats_offloading_layers() -> None:
    needed = load("gpt-oss-120b", 65_000_000_000, "mxfp4")
    cards = (room("rtx4090-24g"),)
    layers, experts = by_layers(needed, cards, 120 * GIB), by_experts(needed, cards, 120 * GIB)
    assert isinstance(experts, Split)
    desktop = host("1 socket, 24 cores, 128 GiB", 2, 6000)
    slow, fast = (
        tokens_per_second(needed, one, (span("rtx4090-24g"),), desktop, 2048, 70_000) for one in (layers, experts)
    )
    assert fast.usual > 1.5 * slow.usual
    assert 18 < fast.usual < 40, "25.6 tokens/s were published for such a desktop"


def test_what_every_token_needs_must_fit_on_the_cards() -> None:
    found = by_experts(load("deepseek-r1", R1_Q4, "q4_k_m"), (room("rtx3070-8g"),), 512 * GIB)
    assert isinstance(found, str)
    assert "what every token needs (9.09 GiB)" in found


def test_a_slow_giant_is_called_off_before_it_is_fetched() -> None:
    told = not_worth_fetching(1.7, 5.0, R1_Q4, "DeepSeek R1 671B", "DeepSeek R1 Distill Qwen 32B", 35.2)
    assert told == (
        "DeepSeek R1 671B would make about 1.7 tokens/s here, and less than 5 is no conversation: "
        "take DeepSeek R1 Distill Qwen 32B (about 35 tokens/s) before 377 GiB are fetched"
    )
    assert not_worth_fetching(8.7, 5.0, R1_Q4, "DeepSeek R1 671B", "a smaller one", 35.2) == ""
    assert "377 GiB would be fetched" in not_worth_fetching(1.7, 5.0, R1_Q4, "DeepSeek R1 671B", "none", None)


LOADS = (
    load("deepseek-r1", 131_000_000_000, "ud_iq1_s"),
    load("gpt-oss-120b", 65_000_000_000, "mxfp4"),
    load("qwen3-30b-a3b", 18_600_000_000, "q4_k_m"),
)
rooms = st.lists(st.integers(0, 96).map(lambda gib: CardRoom("card", gib * GIB)), max_size=8).map(tuple)


@given(st.sampled_from(LOADS), rooms, st.integers(0, 1024), st.integers(0, 512))
def test_more_host_memory_never_turns_a_split_into_a_problem(
    needed: Load, cards: tuple[CardRoom, ...], gib: int, more: int
) -> None:
    for lay in (by_layers, by_experts):
        before, after = lay(needed, cards, gib * GIB), lay(needed, cards, (gib + more) * GIB)
        assert isinstance(before, str) == isinstance(after, str)
        if isinstance(before, Split) and isinstance(after, Split) and not before.problem:
            assert after.problem == ""


@given(st.sampled_from(LOADS), rooms, st.integers(0, 1024), st.integers(0, 96))
def test_another_card_never_leaves_more_to_the_host(
    needed: Load, cards: tuple[CardRoom, ...], gib: int, another: int
) -> None:
    more = (*cards, CardRoom("another", another * GIB))
    for lay in (by_layers, by_experts):
        before, after = lay(needed, cards, gib * GIB), lay(needed, more, gib * GIB)
        if isinstance(before, Split):
            assert isinstance(after, Split)
            assert after.host_bytes <= before.host_bytes


@given(st.sampled_from(LOADS), rooms, st.integers(0, 1024))
def test_a_split_lays_every_layer_somewhere_and_overfills_no_card(
    needed: Load, cards: tuple[CardRoom, ...], gib: int
) -> None:
    for split in (by_layers(needed, cards, gib * GIB), by_experts(needed, cards, gib * GIB)):
        if isinstance(split, str):
            continue
        whole = needed.reads.layers + 1
        assert split.n_gpu_layers == (whole - split.host_layers if split.by == "layers" else whole)
        assert all(used <= card.budget_bytes for used, card in zip(split.device_bytes, cards, strict=True))


@given(st.sampled_from(LOADS), st.sampled_from(CARDS), st.floats(1e9, 1e12), st.floats(1.0, 10.0))
def test_faster_memory_is_never_slower(needed: Load, card: str, rate: float, factor: float) -> None:
    split = by_layers(needed, (room(card),), 1024 * GIB)
    slower, faster = (HostSpeed(one, one, one, Expected(0.0, 0.0, 0.0), "") for one in (rate, rate * factor))
    before, after = (tokens_per_second(needed, split, (span(card),), one, 1000, 70_000) for one in (slower, faster))
    assert before.usual <= after.usual
    assert before.low <= before.usual <= before.high


@given(st.integers(0, 2000), st.integers(0, 1000), st.sampled_from((1, 2)))
def test_more_memory_never_turns_ktransformers_down(gib: int, more: int, sockets: int) -> None:
    if r1_on(gib, sockets=sockets).problem == "":
        assert r1_on(gib + more, sockets=sockets).problem == ""
