"""Experts in host memory and all else on cards: byte by byte, weighed against a split by layers, and offered where it helps."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.plan import Change, Decision, DeviceBudget, Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.machine.ground import Room
from provisioner.planning.memory import sizing
from provisioner.planning.memory.budget import Fit
from provisioner.planning.speed.hybrid import load_of
from provisioner.planning.tries.offload import by_experts, rows_of, with_copies
from tests.unit.planning.samples import CATALOG, altered, machine, plan

DESKTOP = "1x RTX 4090, 16 cores, 192 GiB"
SERVER = "1x RTX 4090, 32 cores, 512 GiB"
QWEN = "qwen3-235b-a22b-instruct-2507"
GPT = "gpt-oss-120b"
SPLIT = {"placement": "split"}


def offload(made: Plan) -> Decision:
    return next(one for one in made.decisions if one.subject == "offload")


def budgets(made: Plan) -> tuple[DeviceBudget, ...]:
    assert made.memory is not None
    return made.memory.per_device


def rate(made: Plan) -> float:
    assert made.capacity is not None
    assert made.capacity.tokens_per_second is not None
    return made.capacity.tokens_per_second


@pytest.mark.parametrize(
    ("text", "spec", "first"),
    [
        (DESKTOP, Spec(model=GPT, settings=SPLIT), 25),
        (DESKTOP, Spec(model=QWEN, settings=SPLIT), 84),
        (SERVER, Spec(profile="flagship", engine="llamacpp"), 60),
    ],
)
def test_experts_go_to_the_host_where_that_is_faster_than_whole_layers(text: str, spec: Spec, first: int) -> None:
    made = plan(text, spec)
    assert made.verdict == "fits"
    options = made.services[0].options
    assert (options["n-cpu-moe"], options["n-gpu-layers"]) == (str(first), str(layers_of(made) + 1))
    argv = made.services[0].argv
    assert argv[argv.index("--n-cpu-moe") + 1] == str(first)
    said = offload(made)
    assert said.choice == f"the experts of the first {first} of {layers_of(made)} layers in host memory"
    (other,) = said.rejected
    assert "layers wholly in host memory" in other.option
    by_layers = plan(
        text, altered(spec, {"settings": {**SPLIT, "engine.n-gpu-layers": options_of_layers(other.option)}})
    )
    assert by_layers.verdict == "fits"
    assert other.reason == f"about {rate(by_layers):.2g} tokens/s"
    assert said.because.startswith(f"about {rate(made):.2g} tokens/s")
    assert rate(made) > rate(by_layers)


def layers_of(made: Plan) -> int:
    assert made.model is not None
    return made.model.layers


def options_of_layers(told: str) -> str:
    """`24 of 37 layers …` on the host leaves 13 for the device."""
    words = told.split()
    return str(int(words[2]) - int(words[0]))


@pytest.mark.parametrize("layers", [None, 13])
def test_every_byte_of_the_weights_and_of_the_cache_is_somewhere(layers: int | None) -> None:
    named = {} if layers is None else {"engine.n-gpu-layers": str(layers)}
    made = plan("2x RTX 4090, 16 cores, 192 GiB", Spec(model=QWEN, settings={**SPLIT, **named}))
    assert made.model is not None
    assert made.memory is not None
    assert sum(one.weights_bytes for one in budgets(made)) == made.model.weights_bytes
    assert sum(one.kv_cache_bytes for one in budgets(made)) == made.memory.kv_bytes_per_token * made.memory.kv_tokens
    assert len([one for one in budgets(made) if one.device != "host" and one.weights_bytes]) == 2


def test_two_cards_keep_more_experts_than_one() -> None:
    one, two = (plan(f"{count}x RTX 4090, 16 cores, 192 GiB", Spec(model=QWEN, settings=SPLIT)) for count in (1, 2))
    first, second = (int(made.services[0].options["n-cpu-moe"]) for made in (one, two))
    assert second < first
    assert rate(two) > rate(one)
    spread = [int(count) for count in two.services[0].options["tensor-split"].split(",")]
    assert sum(spread) == 95


def test_a_prompt_copies_experts_of_the_host_to_the_first_card_alone() -> None:
    made = plan("2x RTX 4090, 16 cores, 192 GiB", Spec(model=QWEN, settings=SPLIT))
    first, second = (one.activation_bytes for one in budgets(made) if one.device != "host")
    matrix = 128 * 4096 * 1536 * 6.5625 / 8
    assert matrix <= first - second <= 1.3 * matrix, "a down projection in Q6_K, the largest of its layer in Q4_K_M"


def test_what_fits_on_the_card_alone_has_nothing_on_the_host() -> None:
    made = plan("1x H200, 16 cores, 192 GiB", Spec(model=GPT, settings=SPLIT, engine="llamacpp"))
    assert made.verdict == "fits"
    assert "n-cpu-moe" not in made.services[0].options
    assert made.services[0].options["threads"] == "8"
    assert not [one for one in made.decisions if one.subject == "offload"]


def test_a_dense_model_is_split_by_layers_and_nothing_is_weighed() -> None:
    made = plan("1x RTX 3060, 16 cores, 64 GiB", Spec(model="qwen3-32b", precision="q4_k_m", settings=SPLIT))
    assert made.verdict == "fits"
    assert "n-cpu-moe" not in made.services[0].options
    assert not [one for one in made.decisions if one.subject == "offload"]


def test_on_a_card_of_unknown_speed_the_host_has_as_little_to_read_as_can_be() -> None:
    facts = machine(DESKTOP)
    cards = facts.accelerators["nvidia"]
    assert not isinstance(cards, Unknown)
    unknown = replace(facts, accelerators={"nvidia": tuple(replace(card, name="A card of 2031") for card in cards)})
    made = plan(unknown, Spec(model=GPT, settings=SPLIT, engine="llamacpp"))
    assert made.verdict == "fits"
    assert made.services[0].options["n-cpu-moe"] == "25"
    assert offload(made).because.startswith("its speed is not known")


def test_set_by_name_it_needs_no_split_and_says_so() -> None:
    made = plan(DESKTOP, Spec(model=GPT, settings={"engine.n-cpu-moe": "30"}))
    assert made.verdict == "fits"
    assert made.services[0].options["n-cpu-moe"] == "30"
    assert made.services[0].options["threads"] == "16", (
        "the host computes, so it is not held to what feeding a card takes"
    )
    assert offload(made).because.startswith("set by name; a token reads 4 of 128 experts")
    assert offload(made).rejected == ()


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (Spec(model=GPT, settings={"engine.n-cpu-moe": "10"}), "weights on nvidia:0"),
        (Spec(model="qwen3-32b", precision="q4_k_m", settings={"engine.n-cpu-moe": "10"}), "has none"),
        (Spec(model=GPT, settings={"engine.n-cpu-moe": "30", "placement": "host"}), "it has no placement `host`"),
        (
            Spec(model=GPT, settings={"engine.n-cpu-moe": "30", "engine.n-gpu-layers": "20"}),
            "engine.n-gpu-layers=20 is not all of them",
        ),
    ],
)
def test_what_was_set_by_name_and_cannot_be_is_refused(spec: Spec, reason: str) -> None:
    made = plan(DESKTOP, spec)
    assert made.verdict == "refused"
    assert reason in made.binding


def test_all_layers_by_name_go_together_with_experts_by_name() -> None:
    made = plan(DESKTOP, Spec(model=GPT, settings={"engine.n-cpu-moe": "30", "engine.n-gpu-layers": "99"}))
    assert made.verdict == "fits"


def test_a_number_that_is_none_is_refused_before_anything_is_planned() -> None:
    with pytest.raises(BadInput, match="n-cpu-moe is `many`"):
        plan(DESKTOP, Spec(model=GPT, settings={"engine.n-cpu-moe": "many"}))


def test_a_host_that_is_too_small_is_what_binds() -> None:
    made = plan("1x RTX 4090, 16 cores, 96 GiB", Spec(model=QWEN, precision="q4_k_m", settings=SPLIT))
    assert made.verdict == "refused"
    assert "weights on host" in made.binding
    assert [one.device for one in budgets(made) if one.free_bytes < 0] == ["host"]
    assert any(one.what_if.endswith("GiB") for one in made.cheapest_changes)


def test_ollama_has_no_flag_for_it_and_keeps_to_layers() -> None:
    made = plan(DESKTOP, Spec(model=GPT, engine="ollama", settings=SPLIT))
    assert "n-cpu-moe" not in (made.services[0].options if made.services else {})
    assert not [one for one in made.decisions if one.subject == "offload"]


@pytest.mark.parametrize("spec", [Spec(model=QWEN), Spec(model="qwen3-30b-a3b", precision="q8_0")])
def test_a_model_that_its_card_cannot_hold_is_refused_with_both_hybrids_and_their_speeds(spec: Spec) -> None:
    made = plan(DESKTOP, spec)
    assert made.verdict == "refused"
    split, transformers = change(made, "placement=split"), change(made, "ktransformers")
    for one, planned in (
        (split, plan(DESKTOP, replace(spec, settings=SPLIT))),
        (transformers, plan(DESKTOP, replace(spec, engine="ktransformers"))),
    ):
        assert planned.verdict == "fits"
        assert one.effect.startswith(f"about {rate(planned):.2g} tokens/s")
    assert "does not start" not in transformers.effect


def test_experts_that_ktransformers_does_not_load_are_offered_for_llama_cpp_alone() -> None:
    made = plan(DESKTOP, Spec(model=GPT))
    assert change(made, "placement=split").effect.startswith("about 24 tokens/s")
    assert not [one for one in made.cheapest_changes if "ktransformers" in one.flags]
    asked = plan(DESKTOP, Spec(model=GPT, engine="ktransformers"))
    assert asked.verdict == "refused"
    assert "kt-kernel does not load experts in mxfp4" in asked.binding


def change(made: Plan, flag: str) -> Change:
    return next(one for one in made.cheapest_changes if flag in one.flags)


@pytest.mark.parametrize(
    "spec",
    [
        Spec(model=GPT, settings={"placement": "device"}),
        Spec(model=GPT, engine="vllm"),
        Spec(model=GPT, settings={"engine.gpu-memory-utilization": "0.9"}),
    ],
)
def test_no_hybrid_is_offered_against_what_was_asked_or_for_nothing(spec: Spec) -> None:
    made = plan("1x RTX 3060, 16 cores, 192 GiB", spec)
    assert made.verdict == "refused"
    assert not [one for one in made.cheapest_changes if "ktransformers" in one.flags]
    if spec.engine or "engine.gpu-memory-utilization" in spec.settings:
        assert not [one for one in made.cheapest_changes if "placement=split" in one.flags]


def test_the_engine_with_experts_on_the_host_is_told_as_a_split() -> None:
    made = plan(DESKTOP, Spec(model=QWEN, engine="ktransformers"))
    assert made.verdict == "fits"
    assert "split" in next(one.choice for one in made.decisions if one.subject == "precision and context")


SIZES = (
    ("deepseek-r1", 131_000_000_000, "ud_iq1_s"),
    (GPT, 65_000_000_000, "mxfp4"),
    (QWEN, 142_000_000_000, "q4_k_m"),
)
gibs = st.integers(2, 96)


def laid(
    case: tuple[str, int, str], cards: tuple[int, ...], host: int, asked: int | None = None
) -> tuple[sizing.Need, Fit]:
    name, size, precision = case
    shape = CATALOG.model(name).architecture
    need = sizing.need(shape, size, 4096, 1)
    load = load_of(shape, size, need.kv_bytes, precision)
    need = with_copies(need, load)
    rooms = tuple(room(f"nvidia:{at}", gib) for at, gib in enumerate(sorted(cards, reverse=True)))
    return need, by_experts(need, rows_of(load, shape), room("host", host), rooms, asked)


def room(device: str, gib: int) -> Room:
    return Room(device, gib * GIB, gib * GIB, "")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SIZES), st.lists(gibs, min_size=1, max_size=4).map(tuple), st.integers(0, 512))
def test_nothing_is_lost_and_no_device_is_overfull_where_it_fits(
    case: tuple[str, int, str], cards: tuple[int, ...], host: int
) -> None:
    need, found = laid(case, cards, host)
    assert sum(one.weights_bytes for one in found.budgets) == need.weights_bytes
    assert sum(one.kv_cache_bytes for one in found.budgets) == need.kv_bytes
    assert sum(found.split) == need.layers + 1
    assert (not found.problem) == all(one.free_bytes >= 0 for one in found.budgets)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(SIZES), st.lists(gibs, min_size=1, max_size=4).map(tuple), st.integers(0, 512), st.integers(1, 64)
)
def test_more_memory_never_leaves_more_to_the_host(
    case: tuple[str, int, str], cards: tuple[int, ...], host: int, more: int
) -> None:
    _, before = laid(case, cards, host)
    _, roomier = laid(case, tuple(card + more for card in cards), host)
    _, larger = laid(case, cards, host + more)
    assert roomier.host_experts <= before.host_experts == larger.host_experts
    if not before.problem:
        assert not roomier.problem
        assert not larger.problem


def test_the_first_layers_without_experts_are_counted_as_the_engine_counts_them() -> None:
    """DeepSeek's first three have none: `--n-cpu-moe 5` moves the experts of two."""
    five, three = (laid(SIZES[0], (96, 96), 512, asked)[1] for asked in (5, 3))
    weights = [next(one for one in found.budgets if one.device == "host").weights_bytes for found in (five, three)]
    shape = CATALOG.model("deepseek-r1").architecture
    experts = load_of(shape, SIZES[0][1], 0, SIZES[0][2]).reads.expert_bytes
    assert weights[0] - weights[1] == pytest.approx(2 * experts / 58, abs=2)


def test_where_the_whole_cache_has_no_room_on_the_card_whole_layers_go_to_the_host() -> None:
    made = plan(DESKTOP, Spec(model=QWEN, precision="q4_k_m", context=65_536, settings=SPLIT))
    assert made.verdict == "fits"
    assert "n-cpu-moe" not in made.services[0].options
    assert "layers wholly in host memory" in offload(made).choice
    (experts,) = offload(made).rejected
    assert experts.reason.endswith("short on nvidia:0")
