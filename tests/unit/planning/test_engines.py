"""Which engines come into question: flags that one tier knows are none of another's, and no plan ignores what was asked."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from tests.unit.planning.samples import local, plan

OF_TWO_ENGINES = {"engine.tensor-parallel-size": "2", "engine.cache-type-k": "q8_0"}


@pytest.mark.parametrize(
    ("facts", "spec", "told"),
    [
        (
            "8x RTX 4090, 256 GiB",
            Spec(profile="standard", settings={"engine.tensor-parallel-size": "3"}),
            "take tensor parallel 1, 2 or 4",
        ),
        ("1x RTX 4090, 64 GiB", Spec(settings={"engine.tensor-parallel-size": "2"}), "2 devices are asked for"),
        ("1x RTX 4090, 512 GiB", Spec(settings={"engine.kt-cpuinfer": "16"}), "engine.kt-cpuinfer is for"),
    ],
    ids=["a refusal tries the demo", "so does one of auto", "auto passes a tier over"],
)
def test_a_try_that_no_engine_can_be_told_does_not_fit_and_is_no_usage_error(facts: str, spec: Spec, told: str) -> None:
    made = plan(facts, spec)
    assert made.verdict == "refused"
    assert told in made.binding


def test_a_faster_tier_is_told_without_the_flag_that_it_does_not_know() -> None:
    spec = Spec(profile="flagship", settings={"engine.kt-cpuinfer": "16"})
    made = plan("1x RTX 4090, 512 GiB", spec)
    assert (made.verdict, made.engine) == ("fits", "ktransformers")
    assert [one.fix for one in made.findings if one.id == "speed"] == ["`provision up --profile plus`"]


@pytest.mark.parametrize(
    "spec",
    [
        Spec(profile="demo", settings={"engine.tensor-parallel-size": "2"}),
        Spec(settings=OF_TWO_ENGINES),
        Spec(model="qwen3-8b", settings=OF_TWO_ENGINES),
    ],
    ids=["profile", "auto", "model"],
)
def test_a_flag_that_nothing_in_question_takes_is_a_usage_error(spec: Spec) -> None:
    with pytest.raises(BadInput, match="is for none of") as caught:
        plan("8x RTX 4090, 256 GiB", spec)
    assert caught.value.fix


@pytest.mark.parametrize(("profile", "engine"), [("standard", "sglang"), ("flagship", "ktransformers")])
def test_what_needs_devices_is_not_planned_on_them_when_the_host_was_asked_for(profile: str, engine: str) -> None:
    made = plan("8x RTX 4090, 512 GiB", Spec(profile=profile, engine=engine, settings={"placement": "host"}))
    assert made.verdict == "refused"
    assert "has no placement `host`" in made.binding
    assert ("--engine", "llamacpp") in [change.flags for change in made.cheapest_changes]


def test_a_file_is_none_for_an_engine_of_the_catalog_alone() -> None:
    made = plan("1x RTX 4090, 512 GiB", Spec(model="/x.gguf", engine="ktransformers"), Shelf((local("/x.gguf"),)))
    assert made.verdict == "refused"
    assert "models of the catalog alone, and /x.gguf is none" in made.binding


@pytest.mark.parametrize(("engine", "kind"), [("sglang", "fp8"), ("vllm", "fp9"), ("vllm", "nvfp4"), (None, "fp9")])
def test_a_cache_type_that_no_engine_in_question_knows_is_refused(engine: str | None, kind: str) -> None:
    spec = Spec(model="qwen3-8b", engine=engine, settings={"engine.kv-cache-dtype": kind})
    with pytest.raises(BadInput, match=f"cache type `{kind}` is not known") as caught:
        plan("1x RTX 4090, 64 GiB", spec)
    assert "fp8_e5m2" in caught.value.fix


def test_a_cache_type_of_one_engine_chooses_it() -> None:
    settings = {"engine.kv-cache-dtype": "bf16"}
    made = plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-4b", settings=settings))
    assert (made.verdict, made.engine) == ("fits", "sglang")
