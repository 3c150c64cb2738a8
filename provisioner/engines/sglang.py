"""SGLang, an OpenAI-compatible server for safetensors models: `python -m sglang.launch_server`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.engines._flags import rendered
from provisioner.engines._sglang_memory import usage
from provisioner.engines._sglang_rules import refuses
from provisioner.engines._values import COMPUTE_TYPES, SGLANG_METHODS
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause
    from provisioner.model.measured import Measured

OPTIONS = (
    "tp-size", "pp-size", "attn-dp-size", "ep-size", "nnodes", "node-rank", "dist-init-addr",
    "mem-fraction-static", "max-running-requests", "max-total-tokens", "chunked-prefill-size", "kv-cache-dtype", "dtype",
    "quantization", "attention-backend", "numa-node", "reasoning-parser", "tool-call-parser", "chat-template", "cuda-graph-backend-decode",
    "cuda-graph-backend-prefill", "cuda-graph-max-bs-decode", "lora-paths", "max-loras-per-batch", "max-lora-rank",
    "speculative-algorithm", "speculative-draft-model-path", "speculative-num-steps", "speculative-eagle-topk",
    "speculative-num-draft-tokens",
)  # fmt: skip
"""Flags whose values are planned for each machine, in `Service.options`.

`--enable-dp-attention` and `--disable-cuda-graph` are read by 0.5.23 with a warning; what stands here has replaced them.
`--dp-size` without the first is for copies of a whole model, which are services of their own here
(sgl-project/sglang#41818).
"""

# Not bounded: its fraction is of what is free when it starts, so what two of them take depends on which is first
# (0.5.23 srt/arg_groups/memory_hook.py).

START_SECONDS = 600
"""Libraries, kernels and graphs: what its own tests wait for (DEFAULT_TIMEOUT_FOR_SERVER_LAUNCH,
python/sglang/test/test_utils.py of sgl-project/sglang)."""

CACHE_TYPES = ("auto", "bf16", "bfloat16", "fp8_e4m3", "fp8_e5m2")
"""Of 0.5.23 (srt/arg_groups/fields/model.py); those with scales for each block take bytes that nobody reckoned here."""


def command(service: Service) -> list[str]:
    """The arguments after `python -m sglang.launch_server`."""
    options = {"max-running-requests": str(service.slots), **service.options}
    return [
        "--model-path", service.model_path,
        "--served-model-name", service.model_name,
        "--host", service.host,
        "--port", str(service.port),
        "--context-length", str(service.context),
        "--enable-metrics",
        *rendered(options, OPTIONS),
    ]  # fmt: skip


def environment(_service: Service) -> Mapping[str, str]:
    """Nothing is fetched and nothing is reported."""
    return {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def read_back(log: str, metrics: str) -> "Measured":
    from provisioner.engines import _sglang_readback

    return _sglang_readback.read_back(log, metrics)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_sglang

    return _causes_sglang.CAUSES


ENGINE = Engine(
    name="sglang",
    title="SGLang",
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
    methods=SGLANG_METHODS,
    adapters="lora-paths",
    drafters=("ngram", "mtp", "draft"),
    adapter_ranks=tuple(range(1, 513)),
    program=("python3", "-m", "sglang.launch_server"),
    targets=("docker",),
    keyless=True,
    start_seconds=START_SECONDS,
    bounded=False,
    vendors=("nvidia", "amd", "ascend", "hygon"),
    refuses=refuses,
    usage=usage,
    read_back=read_back,
    causes=causes,
)
