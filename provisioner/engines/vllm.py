"""vLLM, an OpenAI-compatible server for safetensors models: `vllm serve`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.engines._flags import rendered
from provisioner.engines._values import COMPUTE_TYPES, VLLM_METHODS
from provisioner.engines._vllm_memory import usage
from provisioner.engines._vllm_rules import refuses
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause
    from provisioner.model.measured import Measured

OPTIONS = (
    "tensor-parallel-size", "pipeline-parallel-size", "data-parallel-size", "decode-context-parallel-size",
    "enable-expert-parallel", "max-num-seqs", "max-num-batched-tokens", "gpu-memory-utilization",
    "kv-cache-memory-bytes", "kv-cache-dtype", "block-size", "dtype", "quantization", "cpu-offload-gb", "enforce-eager",
    "max-cudagraph-capture-size", "numa-bind", "numa-bind-nodes", "numa-bind-cpus",
    "disable-custom-all-reduce", "reasoning-parser", "tool-call-parser", "enable-auto-tool-choice",
    "chat-template", "tokenizer-mode",
    "distributed-executor-backend", "nnodes", "node-rank", "master-addr", "master-port", "headless",
    "enable-lora", "lora-modules", "max-loras", "max-lora-rank", "speculative-config",
)  # fmt: skip
"""Flags whose values are planned for each machine, in `Service.options`."""

SWITCHES = (
    "enable-expert-parallel", "enforce-eager", "disable-custom-all-reduce", "enable-auto-tool-choice", "headless",
    "numa-bind", "enable-lora",
)  # fmt: skip
"""Those that take no value: `true` says them, `false` leaves them out."""

START_SECONDS = 600
"""Libraries, kernels and graphs: its own limit for this (VLLM_ENGINE_READY_TIMEOUT_S, vllm/envs.py of vllm-project/vllm)."""

CACHE_TYPES = ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla")
"""Of 0.32 (config/cache.py); those of four bits and those with scales for each head take bytes that nobody reckoned here."""

ADAPTER_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Of 0.32 (config/lora.py)."""


def command(service: Service) -> list[str]:
    """The arguments after `vllm serve`. The key is not among them: vLLM takes it from `VLLM_API_KEY`."""
    options = {"max-num-seqs": str(service.slots), **service.options}
    return [
        service.model_path,
        "--served-model-name", service.model_name,
        "--host", service.host,
        "--port", str(service.port),
        "--max-model-len", str(service.context),
        *rendered(options, OPTIONS, SWITCHES),
    ]  # fmt: skip


def environment(_service: Service) -> Mapping[str, str]:
    """Nothing is fetched and nothing is reported."""
    return {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1"}


def on_processors(ranks: tuple[str, ...]) -> Mapping[str, str]:
    """Threads of each rank stay on its processors; `VLLM_CPU_KVCACHE_SPACE` counts in GiB and is left to the flag for bytes."""
    return {"VLLM_CPU_OMP_THREADS_BIND": "|".join(ranks)}


def read_back(log: str, metrics: str) -> "Measured":
    from provisioner.engines import _vllm_readback

    return _vllm_readback.read_back(log, metrics)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_vllm

    return _causes_vllm.CAUSES


ENGINE = Engine(
    name="vllm",
    title="vLLM",
    formats=("safetensors",),
    tasks=("chat", "embed", "rerank"),
    command=command,
    environment=environment,
    health_path="/health",
    context_path="/v1/models",
    context_field=("data", "0", "max_model_len"),
    options=OPTIONS,
    cache_types=CACHE_TYPES,
    values={"dtype": COMPUTE_TYPES},
    methods=VLLM_METHODS,
    adapters="lora-modules",
    drafters=("ngram", "mtp", "draft"),
    adapter_ranks=ADAPTER_RANKS,
    program=("vllm", "serve"),
    targets=("docker",),
    start_seconds=START_SECONDS,
    vendors=("nvidia", "amd", "ascend", "hygon", "kunlun", "intel"),
    refuses=refuses,
    usage=usage,
    on_processors=on_processors,
    key_variable="VLLM_API_KEY",
    read_back=read_back,
    causes=causes,
)
