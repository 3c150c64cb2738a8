"""What a refusal proposes: whole commands that keep what was asked for, and changes of the machine that keep its limits."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.facts import Limits
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.whatif import what_if
from provisioner.planning.remedies.quality import UNMEASURED, answers_in
from tests.unit.planning.samples import CATALOG, GIB, altered, local, machine, plan, with_limits


def test_memory_that_is_added_raises_a_limit_and_does_not_lift_it() -> None:
    facts = with_limits(machine("8 cores, 64 GiB"), memory=8 * GIB)
    more, other = what_if(facts, "+1 GiB", CATALOG).limits, what_if(facts, "128 GiB", CATALOG).limits
    assert isinstance(more, Limits)
    assert more.memory_bytes == 9 * GIB
    assert isinstance(other, Limits)
    assert other.memory_bytes is None


def fix(made: Plan) -> str:
    return next(one.fix for one in made.findings if one.id == "fits")


@pytest.mark.parametrize(
    ("facts", "spec", "command"),
    [
        (
            "1x RTX 3060, 64 GiB",
            Spec(profile="plus", engine="sglang", precision="bf16"),
            "provision up --engine sglang --precision bf16 --profile lite",
        ),
        (
            "1x RTX 4090, 64 GiB",
            Spec(settings={"engine.tensor-parallel-size": "2"}),
            "provision up --set engine.tensor-parallel-size=1",
        ),
        (
            "8x RTX 4090, 256 GiB",
            Spec(profile="standard", engine="sglang", settings={"engine.tp-size": "3"}),
            "provision up --profile standard --engine sglang --set engine.tp-size=8",
        ),
        (
            "1x RTX 4090, 512 GiB",
            Spec(settings={"engine.kt-cpuinfer": "16"}),
            "provision up --set engine.kt-cpuinfer=16 --profile flagship",
        ),
    ],
)
def test_what_was_asked_for_stays_asked_for_but_for_the_one_change(facts: str, spec: Spec, command: str) -> None:
    assert fix(plan(facts, spec)) == f"`{command}`"


def test_flags_of_an_engine_do_not_stay_for_another() -> None:
    settings = {"placement": "host", "engine.tp-size": "2"}
    made = plan("8x RTX 4090, 256 GiB", Spec(profile="standard", engine="sglang", settings=settings))
    assert fix(made) == "`provision up --profile standard --set placement=host --engine llamacpp`"


def test_a_name_with_a_space_is_one_word_of_the_command() -> None:
    spec = Spec(model="/my models/x.gguf", engine="ktransformers")
    made = plan("1x RTX 4090, 64 GiB", spec, Shelf((local("/my models/x.gguf"),)))
    assert fix(made) == "`provision up --model '/my models/x.gguf' --engine llamacpp`"


def test_several_models_keep_their_wishes_too() -> None:
    shelf = Shelf((local("/my models/x.gguf", sha256="0" * 64),))
    spec = Spec(models=("/my models/x.gguf", "qwen2.5-72b-instruct"), context=2048, settings={"concurrency": "1"})
    made = plan("1x RTX 4090, 64 GiB", spec, shelf)
    assert made.verdict == "refused"
    assert fix(made) == "`provision plan --model '/my models/x.gguf' --context 2048 --set concurrency=1`"


@pytest.mark.parametrize(
    ("engine", "model", "concurrency", "kind"),
    [("sglang", "qwen2.5-7b-instruct", 1, "fp8_e4m3"), ("vllm", "qwen3-8b", 2, "fp8")],
)
def test_a_smaller_cache_is_of_a_type_that_the_engine_knows(
    engine: str, model: str, concurrency: int, kind: str
) -> None:
    spec = Spec(model=model, engine=engine, precision="bf16", context=32768, concurrency=concurrency)
    made = plan("1x RTX 4090, 64 GiB", spec)
    assert ("--set", f"engine.kv-cache-dtype={kind}") in [change.flags for change in made.cheapest_changes]


@pytest.mark.parametrize("option", ["--precision", "--set precision"])
def test_a_precision_that_nobody_publishes_is_a_slip_of_the_hand(option: str) -> None:
    spec = Spec(settings={"precision": "fp9"}) if " " in option else Spec(precision="fp9")
    with pytest.raises(BadInput, match="unknown precision `fp9`") as caught:
        plan("1x RTX 4090", spec)
    assert "`fp8`" in caught.value.fix


@pytest.mark.parametrize("word", ["q3_k_l", "ud-q2_k_xl", "iq4_nl", "tq1_0", "w8a16", "fp8", "bnb", "BF16"])
def test_a_precision_that_files_have_is_planned_or_refused(word: str) -> None:
    assert plan("1x RTX 4090", Spec(model="qwen3-8b", precision=word)).verdict in ("fits", "refused")


@pytest.mark.parametrize(
    ("spec", "change", "without"),
    [
        (
            Spec(model="deepseek-r1-distill-llama-8b", engine="vllm", precision="q4_k_m",
                 settings={"engine.tensor-parallel-size": "2"}),
            "llama.cpp instead of vllm", ("engine.tensor-parallel-size",),
        ),
        (Spec(profile="lite", settings={"concurrency": "4096"}), "--concurrency", ("concurrency",)),
    ],
)  # fmt: skip
def test_a_change_is_complete_with_the_settings_that_stand_in_its_way(
    spec: Spec, change: str, without: tuple[str, ...]
) -> None:
    made = plan("1x RTX 4090", spec)
    found = next(one for one in made.cheapest_changes if change in (one.change, *one.flags))
    assert found.without == without
    assert all(f"`--set {name}`" in found.effect for name in without)
    flags = {name.removeprefix("--"): value for name, value in zip(found.flags[::2], found.flags[1::2], strict=True)}
    settings = {name: value for name, value in spec.settings.items() if name not in without}
    wanted = {name: int(value) if value.isdecimal() else value for name, value in flags.items()}
    assert plan("1x RTX 4090", altered(replace(spec, settings=settings), wanted)).verdict == "fits"


def test_a_value_that_the_other_engine_does_not_take_is_left_out_with_its_flag() -> None:
    spec = Spec(model="qwen3-32b", precision="fp8", engine="vllm", settings={"engine.kv-cache-dtype": "fp8_e4m3"})
    made = plan("1x RTX 3060, 512 GiB", spec)
    for change in (one for one in made.cheapest_changes if "--engine" in one.flags):
        left = {key: value for key, value in spec.settings.items() if key not in change.without}
        assert plan("1x RTX 3060, 512 GiB", replace(spec, engine=change.flags[1], settings=left)).verdict == "fits"


def test_requests_at_a_time_are_named_as_the_cause_where_fewer_would_fit() -> None:
    made = plan("1x RTX 4090", Spec(model="qwen3-8b", engine="llamacpp", concurrency=64, precision="q4_k_m"))
    assert made.verdict == "refused"
    fewer = next(one.flags[1] for one in made.cheapest_changes if one.flags[0] == "--concurrency")
    assert made.binding.endswith(f"; 64 requests at a time are too many, and {fewer} would fit")
    assert "too many" not in plan("1x RTX 3060", Spec(profile="flagship")).binding


def test_what_a_smaller_precision_costs_is_said_as_it_was_measured() -> None:
    made = plan("2x L40S", Spec(model="llama-3.3-70b-instruct", engine="vllm", precision="bf16"))
    change = next(one for one in made.cheapest_changes if one.flags[:1] == ("--precision",))
    assert change.flags[1] == "fp8"
    assert "as good as in 16 bits (arXiv:2411.02355" in change.effect
    assert "clearly worse" in answers_in("ud_iq1_s")
    assert answers_in("nvfp4") == UNMEASURED


def test_the_fewest_cards_that_fit_are_proposed() -> None:
    made = plan("1x RTX 3060", Spec(model="qwen2.5-32b-instruct", precision="q8_0", engine="llamacpp"))
    added = next(one.what_if for one in made.cheapest_changes if one.what_if.startswith("+"))
    count = int(added[1:].partition("x")[0])
    assert count == 3, added
    spec = Spec(model="qwen2.5-32b-instruct", precision="q8_0", engine="llamacpp")
    facts = machine("1x RTX 3060")
    assert plan(what_if(facts, added, CATALOG), spec).verdict == "fits"
    assert plan(what_if(facts, f"+{count - 1}x rtx-3060-12g", CATALOG), spec).verdict == "refused"


def test_an_engine_that_is_not_embedded_is_not_told_what_the_embedded_one_lacks() -> None:
    made = plan("1x RTX 3060", Spec(model="llama-3.1-405b", engine="vllm"))
    assert made.verdict == "refused"
    assert not [one for one in made.findings if one.id == "engine-backend"]


@pytest.mark.parametrize(
    ("facts", "spec", "change"),
    [
        ("1x RTX 4090, 64 GiB", Spec(profile="standard", precision="bf16"), "3 more NVIDIA GeForce RTX 4090"),
        ("2x RTX 4090, 64 GiB", Spec(profile="standard", precision="bf16"), "2 more NVIDIA GeForce RTX 4090"),
    ],
)
def test_as_few_cards_are_told_as_do(facts: str, spec: Spec, change: str) -> None:
    """Found by halving: one card fewer is planned here and does not fit."""
    made = plan(facts, spec)
    told = next(one for one in made.cheapest_changes if "more NVIDIA" in one.change)
    assert told.change == change
    fewer = int(change.split(maxsplit=1)[0]) - 1
    number, _, rest = facts.partition("x")
    assert plan(f"{int(number) + fewer}x{rest}", spec).verdict == "refused"


def test_an_engine_is_not_told_instead_of_itself() -> None:
    settings = {"engine.max-num-seqs": "1000000"}
    made = plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-8b", engine="vllm", settings=settings))
    assert made.verdict == "refused"
    (told,) = [one for one in made.cheapest_changes if one.flags == ("--engine", "vllm")]
    assert told.change == "vLLM with values of its own"
    assert told.without == ("engine.max-num-seqs",)


def test_layers_of_a_model_without_experts_may_lie_in_host_memory_too() -> None:
    spec = Spec(profile="standard", precision="q8_0")
    made = plan("1x RTX 4090, 128 GiB", spec)
    (told,) = [one for one in made.cheapest_changes if one.flags == ("--set", "placement=split")]
    layers = int(told.change.removesuffix(" of 65 layers in host memory"))
    split = plan("1x RTX 4090, 128 GiB", replace(spec, settings={"placement": "split"}))
    assert split.verdict == "fits"
    assert split.services[0].options["n-gpu-layers"] == str(65 - layers)
    assert "placement=split" not in str(plan("1x RTX 4090, 16 GiB", spec).cheapest_changes)


def test_a_file_that_is_not_there_is_what_binds_whatever_the_machine_has() -> None:
    made = plan("1x RTX 4090, 64 GiB", Spec(model="/nowhere/x.gguf"))
    assert made.binding == "custom: /nowhere/x.gguf was not found, or it is no GGUF file"


def test_where_no_single_change_is_enough_two_are_named_that_fit_together() -> None:
    facts = machine("4x RTX 4090, 64 cores, 256 GiB")
    (change,) = plan(facts, Spec(model="qwen2.5-72b", precision="bf16", context=65536)).cheapest_changes
    said = dict(zip(change.flags[::2], change.flags[1::2], strict=True))
    assert set(said) == {"--precision", "--context"}
    changed = Spec(model="qwen2.5-72b", precision=said["--precision"], context=int(said["--context"]))
    assert plan(facts, changed).verdict == "fits"
    assert plan(facts, replace(changed, context=65536)).verdict == "refused"


def test_a_device_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(BadInput, match="`nvidia:9` is not on this machine") as refused:
        what_if(machine("2x RTX 4090, 64 GiB"), "without nvidia:9", CATALOG)
    assert refused.value.fix == "one of `without nvidia:0`, `without nvidia:1`"
