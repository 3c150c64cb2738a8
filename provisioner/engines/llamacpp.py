"""llama.cpp's server, embedded in this program or as `llama-server`: both take the same flags."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause
    from provisioner.model.measured import Measured

OPTIONS = (
    "threads", "threads-batch", "n-gpu-layers", "n-cpu-moe", "tensor-split", "numa", "cache-type-k", "cache-type-v", "lora",
    "spec-type", "model-draft", "spec-draft-n-max",
)  # fmt: skip
"""Flags whose values are planned for each machine, in `Service.options`."""


def command(service: Service) -> list[str]:
    """The arguments; the context that the engine is told is that of all slots together."""
    return [
        "--model", service.model_path,
        "--alias", service.model_name,
        "--host", service.host,
        "--port", str(service.port),
        "--ctx-size", str(service.context * service.slots),
        "--parallel", str(service.slots),
        "--api-key-file", service.key_file,
        *_options(service.options),
        "--metrics",
    ]  # fmt: skip


def _options(options: Mapping[str, str]) -> Iterator[str]:
    for flag in OPTIONS:
        if flag in options:
            yield from (f"--{flag}", options[flag])


def environment(_service: Service) -> Mapping[str, str]:
    """Nothing is fetched and nothing is reported, whatever the engine would like to do."""
    return {"HF_HUB_OFFLINE": "1", "LLAMA_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def read_back(log: str, metrics: str) -> "Measured":
    from provisioner.engines import _llamacpp_readback

    return _llamacpp_readback.read_back(log, metrics)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_llamacpp

    return _causes_llamacpp.CAUSES


ENGINE = Engine(
    name="llamacpp",
    title="llama.cpp",
    formats=("gguf",),
    tasks=("chat", "embed", "rerank"),
    command=command,
    environment=environment,
    health_path="/health",
    context_path="/props",
    context_field=("default_generation_settings", "n_ctx"),
    options=OPTIONS,
    adapters="lora",
    drafters=("ngram", "draft"),
    targets=("process", "systemd", "docker"),
    image_program=("llama-server",),
    read_back=read_back,
    causes=causes,
)
