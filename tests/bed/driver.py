"""Runs in vLLM's environment and answers questions about the engine: one JSON request a line in, one JSON answer a line out.

Importing vLLM takes many times longer than any answer, so it is imported once, and each request works in a fork of its own.
The engine's log goes to the file that the request names.
"""

import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

os.environ.update(
    HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_DO_NOT_TRACK="1", VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
)  # fmt: skip

import torch
import vllm
from vllm.distributed import parallel_state
from vllm.engine.arg_utils import EngineArgs
from vllm.lora.request import LoRARequest
from vllm.model_executor.layers.quantization import auto_awq
from vllm.model_executor.model_loader.utils import initialize_model
from vllm.model_executor.models import registry

from tests.bed import compressed
from tests.bed.parsers import PARSERS, placed

# It looks at each model's class in a new Python, lest that touch a card; every fork here is such a Python already.
registry._run_in_subprocess = lambda inspect: inspect()


def make(folder: str, config: dict[str, Any]) -> dict[str, Any]:
    """Write a checkpoint with random weights as its own library writes one, with a tokenizer of single bytes."""
    from transformers import AutoModelForCausalLM
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    values = {key: value for key, value in config.items() if key != "model_type"}
    shape = CONFIG_MAPPING[config["model_type"]](**values)
    shape.bos_token_id = shape.eos_token_id = shape.pad_token_id = 256
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16).save_pretrained(folder)
    write_tokenizer(folder)
    return {}


def write_tokenizer(folder: str) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    end = "<|endoftext|>"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate([*letters, end])}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=end, pad_token=end)
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}\n{% endfor %}"
    tokenizer.save_pretrained(folder)


def cache(folder: str, kv_bytes: int, context: int, options: dict[str, Any], words: int) -> dict[str, Any]:
    """Load the model into the real engine, let it write some tokens, and tell what it made of its memory."""
    engine = vllm.LLM(
        model=folder, enforce_eager=True, max_model_len=context, max_num_seqs=4, kv_cache_memory_bytes=kv_bytes, **options
    )  # fmt: skip
    core = engine.llm_engine.engine_core.engine_core
    if words:
        sampling = vllm.SamplingParams(max_tokens=words, temperature=0, ignore_eos=True)
        (answer,) = engine.generate(["hello"], sampling)
        if len(answer.outputs[0].token_ids) != words:
            raise RuntimeError(f"it wrote {len(answer.outputs[0].token_ids)} tokens, not {words}")
    layout, settings = core.scheduler.kv_cache_config, core.vllm_config.cache_config
    return {
        "blocks": layout.num_blocks,
        "block": settings.block_size,
        "tokens": settings.kv_cache_size_tokens,
        "step": core.vllm_config.scheduler_config.max_num_batched_tokens,
        "bytes": sum(tensor.size for tensor in layout.kv_cache_tensors),
        "groups": [group_of(group) for group in layout.kv_cache_groups],
    }


def group_of(group: Any) -> dict[str, Any]:
    """Layers whose cache is allocated alike: how many, what a token takes in each, or what a request does."""
    spec = group.kv_cache_spec
    linear = hasattr(spec, "shapes")
    state = (
        sum(math.prod(shape) * kind.itemsize for shape, kind in zip(spec.shapes, spec.dtypes, strict=True))
        if linear
        else 0
    )
    return {
        "layers": len(group.layer_names),
        "row": 0 if linear else spec.page_size_bytes // spec.block_size,
        "window": getattr(spec, "sliding_window", None) or 0,
        "state": state,
    }


def adapted(folder: str, adapter: str, options: dict[str, Any]) -> dict[str, Any]:
    """What the real engine writes without and with an adapter, and the bytes of the room that it keeps for such."""
    engine = vllm.LLM(
        model=folder, enforce_eager=True, max_model_len=256, max_num_seqs=4, kv_cache_memory_bytes=1 << 26,
        enable_lora=True, **options,
    )  # fmt: skip
    sampling = vllm.SamplingParams(max_tokens=8, temperature=0, ignore_eos=True)
    said = [engine.generate(["hello"], sampling, lora_request=asked)[0].outputs[0].token_ids
            for asked in (None, LoRARequest("sql", 1, adapter))]  # fmt: skip
    model = engine.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner.model
    stacked = (getattr(layer, name, ()) for layer in model.modules() for name in ("lora_a_stacked", "lora_b_stacked"))
    return {
        "bytes": sum(tensor.numel() * tensor.element_size() for tensors in stacked for tensor in tensors),
        "bare": list(said[0]),
        "adapted": list(said[1]),
    }


def drafts(folder: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the real engine writes by itself and with a drafter, and how many tokens were drafted and taken."""
    said, counted = [], {}
    for config in (None, asked):
        engine = vllm.LLM(
            model=folder, enforce_eager=True, max_model_len=512, max_num_seqs=4, kv_cache_memory_bytes=1 << 26,
            speculative_config=config, disable_log_stats=False,
        )  # fmt: skip
        sampling = vllm.SamplingParams(max_tokens=120, temperature=0, ignore_eos=True)
        said.append(list(engine.generate(["hello hello hello hello"], sampling)[0].outputs[0].token_ids))
        counted = {metric.name: getattr(metric, "value", 0) for metric in engine.get_metrics()}
        del engine
    drafted, taken = (counted.get(f"vllm:spec_decode_num_{name}_tokens", 0) for name in ("draft", "accepted"))
    return {"alone": said[0], "drafted": said[1], "tokens": drafted, "taken": taken}


REFUSALS = (AssertionError, NotImplementedError, ValueError, ZeroDivisionError)
"""What the engine raises where it means the degrees; anything else is a mistake of the test."""


class Wide:
    """A group of ranks that is as wide as the test says; all else is that of the one rank that is there."""

    def __init__(self, group: Any, width: int) -> None:
        self.group, self.world_size, self.ranks = group, width, list(range(width))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.group, name)


def accepts(folder: str, degrees: list[dict[str, Any]]) -> dict[str, Any]:
    """Why the engine does not take each of these degrees, or nothing where it does.

    Nothing is computed, so the engine may believe that this processor has the tiles which its 8-bit kernels need. AWQ gets the
    layers that a card falls back to where Marlin does not take a shape, since that is where cards refuse one.
    """
    torch.cpu._is_amx_tile_supported = lambda: True
    auto_awq.AutoAWQMarlinLinearMethod = auto_awq.AutoAWQLinearMethod
    with tempfile.TemporaryDirectory() as meeting:
        return {"refused": [refusal(folder, options, f"file://{meeting}/ranks") for options in degrees]}


def configures(folder: str, degrees: list[dict[str, Any]]) -> dict[str, Any]:
    """The same by the engine's configuration alone, for degrees that change no layer's width."""
    return {"refused": [refusal(folder, options) for options in degrees]}


def refusal(folder: str, options: dict[str, Any], meeting: str = "") -> str:
    """Ask the engine's own configuration first, and build rank 0's layers for what it takes, if there is a place to meet.

    Layers check their widths when they make their weights, for which only the width of their group counts, not the ranks.
    """
    try:
        asked = EngineArgs(
            model=folder, enforce_eager=True, max_model_len=1024, load_format="dummy", skip_tokenizer_init=True,
            distributed_executor_backend="mp", **options,
        )  # fmt: skip
        config = asked.create_engine_config()
        if meeting:
            build(config, meeting)
    except REFUSALS as error:
        return f"{type(error).__name__}: {error}"
    return ""


def build(config: Any, meeting: str) -> None:
    with vllm.config.set_current_vllm_config(config):
        if not parallel_state.model_parallel_is_initialized():
            parallel_state.init_distributed_environment(1, 0, meeting, 0, "gloo")
            parallel_state.initialize_model_parallel()
        for name in ("_TP", "_EP"):
            group = getattr(parallel_state, name)
            setattr(parallel_state, name, Wide(getattr(group, "group", group), config.parallel_config.world_size))
        torch.set_default_dtype(config.model_config.dtype)
        # Experts that are kept whole are dealt out by values, which tensors without data do not have.
        with torch.device("cpu" if config.parallel_config.enable_expert_parallel else "meta"):
            initialize_model(config)


def laid_out(folder: str, kv_bytes: int, context: int, options: dict[str, Any]) -> dict[str, Any]:
    """What becomes of a pool for a model that no processor could hold."""
    with tempfile.TemporaryDirectory() as meeting:
        return compressed.laid_out(build, f"file://{meeting}/ranks", folder, kv_bytes, context, options)


def parse(engine: str, argv: list[str]) -> dict[str, Any]:
    """The values that the engine's own parser reads out of an argv; it exits where it does not understand it."""
    found = PARSERS[engine](argv)
    return {
        key: plain(value)
        for key, value in vars(found).items()
        if isinstance(value, str | int | float | bool | list | dict)
    }


def plain(value: Any) -> Any:
    """Records of the engine's own as their fields."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value if isinstance(value, str | int | float | bool | dict) else vars(value)


def parse_all(engine: str, argvs: list[list[str]]) -> dict[str, Any]:
    """How many argvs the parser reads; the first that it does not understand ends it."""
    return {"read": len([PARSERS[engine](argv) for argv in argvs])}


VERBS: dict[str, Callable[..., dict[str, Any]]] = {
    "make": make, "cache": cache, "adapted": adapted, "drafts": drafts, "accepts": accepts, "configures": configures, "placed": placed, "laid_out": laid_out, "parse": parse, "parse_all": parse_all,
}  # fmt: skip


def answer_in_fork(request: dict[str, Any]) -> bytes:
    """The answer, or the last words of a fork that came to grief."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        answer_and_end(request, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer or json.dumps({"error": "it ended without a word"}).encode()


def answer_and_end(request: dict[str, Any], writer: int) -> None:
    log = os.open(request.pop("log"), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        answer = VERBS[request.pop("verb")](**request)
    except SystemExit as error:
        answer = {"error": f"exit {error.code}"}
    except Exception as error:  # noqa: BLE001 - whatever it is, the test that asked shall see it
        answer = {"error": f"{type(error).__name__}: {error}"}
    os.write(writer, json.dumps(answer).encode())
    os._exit(0)


def main() -> None:
    # Answers keep the real stdout for themselves, whatever a library prints.
    answers = os.dup(1)
    os.dup2(2, 1)
    os.write(answers, b"{}\n")
    for line in sys.stdin:
        os.write(answers, answer_in_fork(json.loads(line)) + b"\n")
    # Nothing here is worth an orderly end, which takes seconds.
    os._exit(0)


if __name__ == "__main__":
    main()
