"""vLLM's and SGLang's command lines, flag by flag; that their parsers read them is tested against the engines themselves."""

import pytest

from provisioner.engines import sglang, vllm
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine
from provisioner.model.record import replace

SERVICE = Service(
    name="llm", engine="vllm", argv=(), env={}, host="127.0.0.1", port=8000, model_name="qwen3-32b", model_path="/m/qwen",
    context=32768, slots=16, cpus=None, numa_nodes=None, memory_max_bytes=None, key_file="/s/llm.key",
    health_path="/health", ready_seconds=60, first_token_seconds=30,
)  # fmt: skip


def test_vllm() -> None:
    options = {"tensor-parallel-size": "4", "gpu-memory-utilization": "0.92", "enforce-eager": "true"}
    assert vllm.ENGINE.command(replace(SERVICE, options=options)) == [
        "/m/qwen",
        "--served-model-name", "qwen3-32b",
        "--host", "127.0.0.1",
        "--port", "8000",
        "--max-model-len", "32768",
        "--tensor-parallel-size", "4",
        "--max-num-seqs", "16",
        "--gpu-memory-utilization", "0.92",
        "--enforce-eager",
    ]  # fmt: skip


def test_sglang() -> None:
    assert sglang.ENGINE.command(replace(SERVICE, options={"tp-size": "2", "max-running-requests": "8"})) == [
        "--model-path", "/m/qwen",
        "--served-model-name", "qwen3-32b",
        "--host", "127.0.0.1",
        "--port", "8000",
        "--context-length", "32768",
        "--enable-metrics",
        "--tp-size", "2",
        "--max-running-requests", "8",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "said"), [("true", True), ("yes", True), ("1", True), ("false", False), ("0", False)]
)
def test_a_switch_is_said_only_when_it_is_on(value: str, said: bool) -> None:
    assert ("--headless" in vllm.ENGINE.command(replace(SERVICE, options={"headless": value}))) is said


def test_what_the_operator_sets_wins_over_the_slots() -> None:
    argv = vllm.ENGINE.command(replace(SERVICE, options={"max-num-seqs": "64"}))
    assert argv[argv.index("--max-num-seqs") + 1] == "64"
    assert argv.count("--max-num-seqs") == 1


@pytest.mark.parametrize("engine", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
def test_engines_are_kept_off_the_network(engine: Engine) -> None:
    environment = engine.environment(SERVICE)
    assert environment["HF_HUB_OFFLINE"] == environment["DO_NOT_TRACK"] == "1"
