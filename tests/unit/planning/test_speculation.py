"""Drafting ahead: asked for in one word, said in each engine's own, and its weights and cache counted."""

import json

import pytest

from provisioner.errors import BadInput
from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.drafters import Drafting, parse
from tests.unit.planning.samples import decision, local, plan

CARDS = "8x H200 SXM, 2 sockets, 128 cores, 2 TiB"


def planned(
    drafting: str, engine: str = "vllm", model: str = "glm-4.5-air", shelf: Shelf | None = None, hardware: str = CARDS
) -> Plan:
    settings = {"drafting": drafting} if drafting else {}
    target = "docker" if engine != "llamacpp" else "process"
    return plan(hardware, Spec(model=model, engine=engine, target=target, settings=settings), shelf)


def following(made: Plan, flag: str) -> str:
    argv = made.services[0].argv
    return argv[argv.index(f"--{flag}") + 1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("ngram", Drafting("ngram", 5)),
        ("MTP:2", Drafting("mtp", 2)),
        ("/srv/small", Drafting("draft", 5, "/srv/small")),
        ("/srv/small:3", Drafting("draft", 3, "/srv/small")),
    ],
)
def test_one_word_says_it(text: str, wanted: Drafting) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["medusa", "ngram:0", "mtp:x", "small/model"])
def test_what_nobody_has_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="drafting is"):
        planned(text)


def test_vllm_takes_json() -> None:
    assert json.loads(following(planned("mtp:2"), "speculative-config")) == {
        "method": "mtp",
        "num_speculative_tokens": 2,
    }
    said = json.loads(following(planned("ngram", model="qwen3-32b"), "speculative-config"))
    assert said == {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_max": 4}


def test_sglang_takes_words() -> None:
    made = planned("mtp:2", "sglang")
    told = [
        following(made, f"speculative-{flag}") for flag in ("algorithm", "num-steps", "eagle-topk", "num-draft-tokens")
    ]
    assert told == ["EAGLE", "2", "1", "3"]


def test_what_the_drafter_takes_is_counted() -> None:
    without, with_it = planned(""), planned("mtp")
    assert without.memory is not None
    assert with_it.memory is not None
    assert with_it.parallel == without.parallel
    assert with_it.memory.per_device[0].weights_bytes > without.memory.per_device[0].weights_bytes
    assert with_it.memory.kv_bytes_per_token > without.memory.kv_bytes_per_token
    assert with_it.memory.kv_tokens < without.memory.kv_tokens
    assert decision(with_it, "drafting") == "1 tokens ahead"


def test_words_that_repeat_take_no_weights() -> None:
    without, with_it = planned("", model="qwen3-32b"), planned("ngram", model="qwen3-32b")
    assert without.memory is not None
    assert with_it.memory is not None
    assert with_it.memory.per_device[0].weights_bytes == without.memory.per_device[0].weights_bytes
    assert with_it.memory.kv_bytes_per_token == without.memory.kv_bytes_per_token


def test_a_model_without_a_drafter_of_its_own_is_told_so() -> None:
    with pytest.raises(BadInput, match="brings no drafter of its own"):
        planned("mtp", model="qwen3-32b")


@pytest.mark.parametrize("engine", ["ollama", "transformers", "lmstudio", "ktransformers"])
def test_engines_that_do_not_draft_are_not_in_question(engine: str) -> None:
    with pytest.raises(BadInput, match="drafting is for"):
        planned("ngram", engine)


def test_an_engine_is_not_told_by_its_own_flags() -> None:
    """What they would take could not be counted."""
    with pytest.raises(BadInput, match="brought and counted"):
        plan(CARDS, Spec(model="qwen3-32b", engine="vllm", settings={"engine.speculative-config": "{}"}))


def test_an_older_release_is_not_asked_for_what_it_may_not_have() -> None:
    made = plan(
        "8x V100 SXM2 32GB, 2 sockets, 64 cores, 512 GiB",
        Spec(model="qwen2.5-7b-instruct", engine="vllm", settings={"drafting": "ngram"}),
    )
    assert made.verdict == "fits", "ngram is in the release that Volta has"


def test_llama_cpp_drafts_with_a_smaller_file() -> None:
    large, small = local("/w/large.gguf"), local("/w/small.gguf", size=500_000_000, layers=4)
    shelf = Shelf((large, small))
    bare = planned("", "llamacpp", "/w/large.gguf", shelf, "1x RTX 4090, 16 cores, 64 GiB")
    made = planned("/w/small.gguf:8", "llamacpp", "/w/large.gguf", shelf, "1x RTX 4090, 16 cores, 64 GiB")
    service = made.services[0]
    assert following(made, "model-draft") == f"{service.model_folder}/draft/small.gguf"
    assert following(made, "spec-draft-n-max") == "8"
    assert total(made, "weights_bytes") - total(bare, "weights_bytes") == 500_000_000
    assert total(made, "kv_cache_bytes") > total(bare, "kv_cache_bytes")


def total(made: Plan, part: str) -> int:
    assert made.memory is not None, made.binding
    return sum(getattr(budget, part) for budget in made.memory.per_device)


def test_llama_cpp_drafts_by_words_that_repeat() -> None:
    shelf = Shelf((local("/w/large.gguf"),))
    made = planned("ngram", "llamacpp", "/w/large.gguf", shelf, "1x RTX 4090, 16 cores, 64 GiB")
    assert following(made, "spec-type") == "ngram-simple"


def test_a_smaller_model_with_other_words_is_refused() -> None:
    shelf = Shelf((local("/w/large.gguf"), local("/w/small.gguf", vocab=1000)))
    with pytest.raises(BadInput, match="cannot draft for it"):
        planned("/w/small.gguf", "llamacpp", "/w/large.gguf", shelf, "1x RTX 4090, 16 cores, 64 GiB")


def test_a_smaller_model_is_not_laid_beside_a_compressed_cache() -> None:
    """Its cache was counted as windows, which do not grow."""
    with pytest.raises(BadInput, match=r"beside the compressed one of DeepSeek V4 Flash is not known") as refused:
        planned("/w/small", model="deepseek-v4-flash")
    assert "drafting=mtp" in refused.value.fix


def test_what_drafts_for_a_compressed_cache_has_a_window_alone() -> None:
    """The last item of `compress_ratios` in its `config.json` is 0."""
    without, with_it = (planned(drafting, model="deepseek-v4-flash") for drafting in ("", "mtp"))
    assert without.memory is not None
    assert with_it.memory is not None
    assert with_it.memory.kv_bytes_per_token == without.memory.kv_bytes_per_token
    assert 0.5 * without.memory.kv_tokens < with_it.memory.kv_tokens < without.memory.kv_tokens
