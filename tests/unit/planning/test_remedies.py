"""What a refusal proposes: whole commands that keep what was asked for, and changes of the machine that keep its limits."""

import pytest

from provisioner.model.facts import Limits
from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.whatif import what_if
from tests.unit.planning.samples import CATALOG, GIB, local, machine, plan, with_limits


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
    settings = {"placement": "host", "engine.tensor-parallel-size": "2"}
    made = plan("8x RTX 4090, 256 GiB", Spec(profile="standard", engine="vllm", settings=settings))
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
