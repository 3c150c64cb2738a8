"""Every argument that we render, read by the engine's own parser."""

import json
from collections.abc import Mapping, Sequence

import pytest

from provisioner.engines import ktransformers, sglang, vllm
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine as Plugin
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked import drafters
from provisioner.planning.tries import speculation
from tests.bed.engine import Engine
from tests.unit.planning.samples import plan

pytestmark = pytest.mark.needs("vllm")

SERVICE = Service(
    name="llm", engine="", argv=(), env={}, host="127.0.0.1", port=8001, model_name="tiny", model_path="/m/tiny",
    context=8192, slots=6, cpus=None, numa_nodes=None, memory_max_bytes=None, key_file="/s/llm.key",
    health_path="/health", ready_seconds=60, first_token_seconds=30,
)  # fmt: skip

VLLM_VALUES = {
    "tensor-parallel-size": "4", "pipeline-parallel-size": "2", "data-parallel-size": "2",
    "decode-context-parallel-size": "2", "max-num-seqs": "64", "max-num-batched-tokens": "4096",
    "gpu-memory-utilization": "0.9", "kv-cache-memory-bytes": "1073741824", "kv-cache-dtype": "fp8", "block-size": "32",
    "dtype": "half", "quantization": "awq", "cpu-offload-gb": "8", "reasoning-parser": "deepseek_r1",
    "tool-call-parser": "hermes", "chat-template": "{{ messages }}", "tokenizer-mode": "mistral", "distributed-executor-backend": "mp", "nnodes": "2", "node-rank": "1",
    "master-addr": "192.0.2.1", "master-port": "29501", "max-cudagraph-capture-size": "32", "numa-bind-nodes": "0 0 1 1",
    "numa-bind-cpus": "0-3 4-7", "max-loras": "2", "max-lora-rank": "16",
}  # fmt: skip
SGLANG_VALUES = {
    "tp-size": "4", "pp-size": "2", "ep-size": "4", "attn-dp-size": "2", "nnodes": "2",
    "node-rank": "1", "dist-init-addr": "192.0.2.1:5000", "mem-fraction-static": "0.85", "max-running-requests": "64",
    "max-total-tokens": "100000", "chunked-prefill-size": "4096", "kv-cache-dtype": "fp8_e5m2", "dtype": "half",
    "quantization": "awq", "attention-backend": "triton", "numa-node": "0 0 1 1",
    "reasoning-parser": "deepseek-r1", "tool-call-parser": "qwen25", "chat-template": "/t.jinja", "cuda-graph-backend-decode": "disabled",
    "cuda-graph-backend-prefill": "disabled", "cuda-graph-max-bs-decode": "24", "max-loras-per-batch": "3",
    "max-lora-rank": "12", "speculative-algorithm": "ngram", "speculative-draft-model-path": "/m/small",
    "speculative-num-steps": "3", "speculative-eagle-topk": "1", "speculative-num-draft-tokens": "4",
}  # fmt: skip


def read(engine: Engine, plugin: Plugin, options: Mapping[str, str]) -> dict[str, object]:
    return engine("parse", engine=plugin.name, argv=plugin.command(replace(SERVICE, options=options)))


def as_said(seen: object) -> str:
    if isinstance(seen, list):
        return " ".join(map(as_said, seen))
    return str(int(seen) if isinstance(seen, float) and seen.is_integer() else seen).lower()


def test_what_is_always_said_to_vllm(engine: Engine) -> None:
    seen = read(engine, vllm.ENGINE, {})
    wanted = {
        "model_tag": "/m/tiny", "served_model_name": ["tiny"], "host": "127.0.0.1", "port": 8001, "max_model_len": 8192,
        "max_num_seqs": 6,
    }  # fmt: skip
    assert {key: seen[key] for key in wanted} == wanted


MEANT = ("lora-modules", "lora-paths", "speculative-config")
"""Read into something else than the words that were said; each has a test of its own."""


@pytest.mark.parametrize("flag", [flag for flag in vllm.OPTIONS if flag not in MEANT])
def test_each_option_of_vllm(engine: Engine, flag: str) -> None:
    """One by one, since some exclude each other."""
    value = "true" if flag in vllm.SWITCHES else VLLM_VALUES[flag]
    beside = {"enable-auto-tool-choice": ("tool-call-parser", "hermes"), "numa-bind-nodes": ("numa-bind", "true"),
              "numa-bind-cpus": ("numa-bind", "true")}  # fmt: skip
    needed = dict([beside[flag]]) if flag in beside else {}
    seen = read(engine, vllm.ENGINE, {flag: value, **needed})
    assert as_said(seen[flag.replace("-", "_")]) == value


def test_several_nodes_of_vllm(engine: Engine) -> None:
    """The second machine of two, each with two ranks."""
    options = {"tensor-parallel-size": "2", "pipeline-parallel-size": "2", "nnodes": "2", "node-rank": "1",
               "master-addr": "192.0.2.1", "headless": "true", "enforce-eager": "false"}  # fmt: skip
    seen = read(engine, vllm.ENGINE, options)
    assert (seen["headless"], seen["node_rank"], seen["enforce_eager"]) == (True, 1, False)


def test_what_is_always_said_to_sglang(engine: Engine) -> None:
    seen = read(engine, sglang.ENGINE, {})
    wanted = {
        "model_path": "/m/tiny", "served_model_name": "tiny", "host": "127.0.0.1", "port": 8001, "context_length": 8192,
        "max_running_requests": 6, "enable_metrics": True,
    }  # fmt: skip
    assert {key: seen[key] for key in wanted} == wanted


@pytest.mark.parametrize("flag", [flag for flag in sglang.OPTIONS if flag not in MEANT])
def test_each_option_of_sglang(engine: Engine, flag: str) -> None:
    assert (
        as_said(read(engine, sglang.ENGINE, {flag: SGLANG_VALUES[flag]})[flag.replace("-", "_")]) == SGLANG_VALUES[flag]
    )


@pytest.mark.parametrize("plugin", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
def test_each_cache_type_that_may_be_planned(engine: Engine, plugin: Plugin) -> None:
    for kind in plugin.cache_types:
        assert read(engine, plugin, {"kv-cache-dtype": kind})["kv_cache_dtype"] == kind


@pytest.mark.parametrize("plugin", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
def test_each_word_that_may_be_set(engine: Engine, plugin: Plugin) -> None:
    for method in dict.fromkeys(word for words in plugin.methods.values() for word in words):
        assert read(engine, plugin, {"quantization": method})["quantization"] == method
    for flag, words in plugin.values.items():
        for word in words:
            assert read(engine, plugin, {flag: word})[flag] == word


@pytest.mark.parametrize("plugin", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
def test_no_key_is_ever_said(plugin: Plugin) -> None:
    """Everybody on the machine can read an argv."""
    rendered = plugin.command(replace(SERVICE, options=dict.fromkeys(plugin.options, "true")))
    assert not [word for word in (*rendered, *plugin.environment(SERVICE)) if "key" in word.lower()]


ADAPTERS = "sql=/m/adapters/sql more=/m/adapters/more"


@pytest.mark.parametrize(("plugin", "flag"), [(vllm.ENGINE, "lora-modules"), (sglang.ENGINE, "lora-paths")])
def test_adapters_are_read_as_names_and_folders(engine: Engine, plugin: Plugin, flag: str) -> None:
    beside = {"enable-lora": "true"} if plugin is vllm.ENGINE else {}
    seen = read(engine, plugin, {flag: ADAPTERS, **beside})[flag.replace("-", "_")]
    assert isinstance(seen, list)
    told = [f"{one['name']}={one['path']}" if isinstance(one, dict) else one for one in seen]
    assert " ".join(told) == ADAPTERS


@pytest.mark.parametrize("text", ["ngram", "mtp:2", "/m/small:3"])
def test_what_drafts_is_read(engine: Engine, text: str) -> None:
    """In the words that a plan has for it, by vLLM and by SGLang."""
    asked = drafters.parse(text)
    (said,) = speculation._as_json(asked, "/m/small").items()
    assert read(engine, vllm.ENGINE, dict([said]))["speculative_config"] == json.loads(said[1])
    words = speculation._as_words(asked, "/m/small")
    seen = read(engine, sglang.ENGINE, words)
    assert {flag: str(seen[flag.replace("-", "_")]) for flag in words} == dict(words)


KT_VALUES = {
    "kt-method": "LLAMAFILE", "kt-cpuinfer": "32", "kt-threadpool-count": "2", "kt-num-gpu-experts": "8",
    "kt-max-deferred-experts-per-token": "2", "mem-fraction-static": "0.85", "max-total-tokens": "8192",
    "chunked-prefill-size": "4096", "attention-backend": "triton", "reasoning-parser": "deepseek-r1",
    "tool-call-parser": "deepseekv3",
}  # fmt: skip


def told(plugin: Plugin, argv: Sequence[str]) -> list[str]:
    """What follows the program of an engine in the command line of a service."""
    assert tuple(argv[: len(plugin.program)]) == plugin.program
    return list(argv[len(plugin.program) :])


def test_ktransformers_is_told_what_its_parser_reads(engine: Engine) -> None:
    """Every option of it, with where the experts lie."""
    assert set(KT_VALUES) == set(ktransformers.OPTIONS)
    seen = read(engine, ktransformers.ENGINE, KT_VALUES)
    assert {flag: as_said(seen[flag.replace("-", "_")]).upper() for flag in KT_VALUES} == {
        flag: value.upper() for flag, value in KT_VALUES.items()
    }
    assert (seen["model_path"], seen["kt_weight_path"], seen["enable_metrics"]) == ("/m/tiny", "/m/tiny/experts", True)
    assert seen["disable_shared_experts_fusion"] is True


@pytest.mark.parametrize("facts", ["1x RTX 4090, 2 sockets, 64 cores, 512 GiB, 4 TiB disk", "1x L40S, 1 sockets, 32 cores, 512 GiB, 4 TiB disk",
                                   "1x A100 SXM 80G, 2 sockets, 64 cores, 512 GiB, 4 TiB disk", "1x H100 SXM 80G, 64 cores, 400 GiB, 4 TiB disk",
                                   "1x H20-3e, 2 sockets, 64 cores, 512 GiB, 4 TiB disk"])  # fmt: skip
@pytest.mark.parametrize("model", ["deepseek-r1", "qwen3-30b-a3b"])
def test_what_is_planned_for_ktransformers_is_read(engine: Engine, facts: str, model: str) -> None:
    """Word for word as a plan has it for each card that kt-kernel is built for."""
    made = plan(facts, Spec(model=model, engine="ktransformers", precision="q4_k_m", context=4096, concurrency=1))
    assert made.verdict == "fits", made.binding
    (service,) = made.services
    seen = engine("parse", engine="ktransformers", argv=told(ktransformers.ENGINE, service.argv))
    assert {flag: as_said(seen[flag.replace("-", "_")]).upper() for flag in service.options} == {
        flag: value.upper() for flag, value in service.options.items()
    }
    assert (seen["kt_weight_path"], seen["max_total_tokens"]) == (f"{service.model_path}/experts", 4096)
