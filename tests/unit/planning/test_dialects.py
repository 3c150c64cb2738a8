"""How a family of models writes thoughts and calls of tools becomes flags of the engine that reads them, unless it is told not to."""

import pytest

from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from tests.unit.planning.samples import CATALOG, decision, plan

CARDS = "4x H100 SXM, 2 sockets, 64 cores, 1 TiB"


def served(model: str, engine: str = "vllm", hardware: str = CARDS, **settings: str) -> Plan:
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in settings.items()}
    return plan(hardware, Spec(model=model, engine=engine, target="docker", settings=named))


def said(made: Plan, *flags: str) -> list[str | None]:
    """What follows each flag in the argv; None for a flag that is not there."""
    argv = made.services[0].argv
    return [argv[argv.index(f"--{flag}") + 1] if f"--{flag}" in argv else None for flag in flags]


PARSERS = ("reasoning-parser", "tool-call-parser")


@pytest.mark.parametrize(
    ("model", "engine", "wanted"),
    [
        ("qwen3-32b", "vllm", ["qwen3", "hermes"]),
        ("qwen3-32b", "sglang", ["qwen3", "qwen"]),
        ("qwen3-30b-a3b-instruct-2507", "vllm", [None, "hermes"]),
        ("Qwen3-30B-A3B-Thinking-2507", "vllm", ["qwen3", "hermes"]),
        ("deepseek-r1-distill-llama-70b", "vllm", ["deepseek_r1", None]),
        ("gpt-oss-120b", "sglang", ["gpt-oss", "gpt-oss"]),
        ("gemma-2-9b-it", "vllm", [None, None]),
    ],
)
def test_each_family_in_the_words_of_the_engine(model: str, engine: str, wanted: list[str | None]) -> None:
    assert said(served(model, engine), *PARSERS) == wanted


def test_calls_of_tools_are_made_where_something_reads_them() -> None:
    assert "--enable-auto-tool-choice" in served("qwen3-32b").services[0].argv
    assert "--enable-auto-tool-choice" not in served("gemma-2-9b-it").services[0].argv
    assert "--enable-auto-tool-choice" in served("gemma-2-9b-it", engine__tool_call_parser="pythonic").services[0].argv


def test_what_was_set_wins_and_none_leaves_a_parser_out() -> None:
    off = served("qwen3-32b", engine__reasoning_parser="none", engine__tool_call_parser="none")
    assert said(off, *PARSERS) == [None, None]
    assert "--enable-auto-tool-choice" not in off.services[0].argv
    other = served("qwen3-32b", engine__tool_call_parser="qwen3_xml")
    assert said(other, *PARSERS) == ["qwen3", "qwen3_xml"]
    assert decision(other, "tools") == "tool-call-parser qwen3_xml"


def test_a_template_is_taken_from_the_makers_own_image_alone() -> None:
    there = "/vllm-workspace/examples/tool_chat_template_llama3.1_json.jinja"
    assert said(served("llama-3.3-70b-instruct"), "chat-template") == [there]
    assert said(served("llama-3.3-70b-instruct", image="mine"), "chat-template") == [None]
    assert said(served("llama-3.3-70b-instruct", engine__tool_call_parser="none"), "chat-template") == [None]
    assert said(served("llama-3.3-70b-instruct", engine__chat_template="/models/own.jinja"), "chat-template") == [
        "/models/own.jinja"
    ]


def test_an_older_release_is_told_what_its_own_documentation_names() -> None:
    """Volta has no later vLLM than 0.19.1."""
    volta = "8x V100 SXM2 32GB, 2 sockets, 64 cores, 512 GiB"
    assert said(served("qwen3-32b", hardware=volta), *PARSERS) == ["qwen3", "hermes"]
    newer = served("qwen3.6-27b", hardware=volta)
    if newer.verdict == "fits":
        assert said(newer, *PARSERS) == [None, None]
        assert decision(newer, "reasoning and tools") == "not parsed"


def test_every_model_speaks_a_dialect_that_is_there() -> None:
    named = {CATALOG.model(name).dialect for name in CATALOG.models} - {""}
    assert named == set(CATALOG.dialects), "a dialect that no model speaks, or one that nobody wrote down"
    for name in CATALOG.dialects:
        dialect = CATALOG.dialect(name)
        assert set(dialect.flags) == set(dialect.source) >= set(dialect.since)
        assert not dialect.thinking or dialect.thinking in CATALOG.dialects
