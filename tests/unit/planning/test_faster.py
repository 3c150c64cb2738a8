"""Who would wait too long for answers hears so before anything is fetched, and what answers faster."""

import shlex

import pytest

from provisioner.model.plan import Change, Plan
from provisioner.model.spec import Spec
from provisioner.views.layout import Look
from provisioner.views.plan import verdict_lines
from tests.unit.planning.samples import CATALOG, altered, plan

BOUND = CATALOG.profile("auto").min_tokens_per_second


def rate(made: Plan) -> float:
    assert made.capacity is not None
    return made.capacity.tokens_per_second or 0.0


def pasted(fix: str) -> Spec:
    words = shlex.split(fix.strip("`"))
    assert words[:2] == ["provision", "up"]
    flags = dict(zip(words[2::2], words[3::2], strict=True))
    said = dict([flags.pop("--set").split("=", 1)]) if "--set" in flags else {}
    return altered(Spec(settings=said), {name.removeprefix("--"): value for name, value in flags.items()})


@pytest.mark.parametrize(
    ("hardware", "spec"),
    [
        ("2 cores, 32 GiB", Spec(model="deepseek-r1-distill-qwen-7b", engine="vllm", target="docker")),
        ("1x RTX 4090, 32 cores, 512 GiB", Spec(model="deepseek-r1", settings={"placement": "split"})),
        ("1x RTX 4090, 32 cores, 128 GiB", Spec(model="deepseek-r1-distill-qwen-14b", settings={"placement": "host"})),
        ("1x RTX 4090, 512 GiB", Spec(profile="flagship", settings={"engine.kt-cpuinfer": "16"})),
    ],
    ids=["an engine on processors", "experts in host memory", "a device left alone", "a flag of one engine"],
)
def test_a_slow_plan_fits_with_a_warning_whose_command_is_fast_enough(hardware: str, spec: Spec) -> None:
    made = plan(hardware, spec)
    warning = next(one for one in made.findings if one.id == "speed")
    assert (made.verdict, warning.level) == ("fits", "warning")
    assert "by estimate" in warning.message
    assert rate(made) < CATALOG.profile(made.profile if made.profile != "custom" else "auto").min_tokens_per_second
    faster = plan(hardware, pasted(warning.fix))
    assert faster.verdict == "fits"
    assert rate(faster) >= BOUND
    assert not [one for one in faster.findings if one.id == "speed"]


def test_the_same_model_comes_before_a_smaller_one_where_it_is_fast_enough() -> None:
    made = plan(
        "1x RTX 4090, 32 cores, 128 GiB", Spec(model="deepseek-r1-distill-qwen-14b", settings={"placement": "host"})
    )
    warning = next(one for one in made.findings if one.id == "speed")
    assert "take vLLM with DeepSeek R1 Distill Qwen 14B in fp8" in warning.message
    assert warning.fix == "`provision up --model deepseek-r1-distill-qwen-14b`"


def test_the_verdict_itself_says_how_slow() -> None:
    plain = Look(width=100)
    slow = plan("2 cores, 32 GiB", Spec(model="deepseek-r1-distill-qwen-7b", engine="vllm", target="docker"))
    fast = plan("1x RTX 4090, 64 GiB", Spec(profile="lite"))
    assert verdict_lines(slow, plain)[0].startswith("! fits, at 0.83 tokens/s")
    assert verdict_lines(fast, plain)[0].startswith("✓ fits  lite")


@pytest.mark.parametrize(
    ("hardware", "profile"),
    [
        ("2x RTX 3060, 8 cores, 32 GiB", "standard"),
        ("1x RTX 4090, 16 cores, 64 GiB", "standard"),
        ("2x RTX 4090, 32 cores, 128 GiB", "pro"),
        ("4 cores, 24 GiB", "standard"),
    ],
)
def test_a_change_that_nobody_would_wait_for_comes_after_the_others_and_says_how_slow_it_is(
    hardware: str, profile: str
) -> None:
    made = plan(hardware, Spec(profile=profile))
    slow = [_slow(one) for one in made.cheapest_changes]
    assert made.verdict == "refused"
    assert slow == sorted(slow)
    assert not slow[0]
    assert all("tokens/s" in one.effect for one in made.cheapest_changes if _slow(one))


def _slow(change: Change) -> bool:
    return change.tokens_per_second is not None and change.tokens_per_second < BOUND


def test_a_smaller_profile_is_one_that_can_be_talked_to() -> None:
    made = plan("4 cores, 24 GiB", Spec(profile="standard"))
    offered = next(one for one in made.cheapest_changes if one.flags[:1] == ("--profile",))
    assert offered.flags == ("--profile", "lite")
    assert (
        rate(plan("4 cores, 24 GiB", Spec(profile="lite")))
        >= BOUND
        > rate(plan("4 cores, 24 GiB", Spec(profile="basic")))
    )


def test_host_memory_gets_the_first_step_that_is_fast_enough_to_talk_to() -> None:
    made = plan("1x RTX 4090, 16 cores, 64 GiB", Spec(profile="standard", settings={"placement": "split"}))
    assert made.model is not None
    assert made.model.precision == "q4_k_m"
    assert rate(made) >= BOUND
    (step,) = [one for one in made.decisions if one.subject == "precision and context"]
    assert "q8_0" in step.rejected[0].option
    assert "it fits, at about" in step.rejected[0].reason
    roomy = plan("2x RTX 4090, 32 cores, 128 GiB", Spec(profile="standard", settings={"placement": "split"}))
    assert roomy.model is not None
    assert (roomy.model.precision, rate(roomy) >= BOUND) == ("q8_0", True)


def test_where_no_step_is_fast_enough_the_one_that_is_faster_by_far_is_taken() -> None:
    named = Spec(model="deepseek-r1-distill-qwen-32b")
    slowest = plan("2 sockets, 64 cores, 256 GiB", altered(named, {"precision": "q8_0"}))
    chosen = plan("2 sockets, 64 cores, 256 GiB", named)
    assert chosen.model is not None
    assert chosen.model.precision == "q4_k_m"
    assert rate(slowest) * 1.25 <= rate(chosen) < BOUND


def test_no_answer_becomes_clearly_worse_for_speed_alone() -> None:
    made = plan("2 sockets, 128 cores, 1024 GiB", Spec(model="deepseek-r1"))
    assert made.model is not None
    assert made.model.precision == "q4_k_m"
    assert [one.level for one in made.findings if one.id == "speed"] == ["warning"]
