"""Ollama: llama.cpp's arithmetic behind a server of its own, configured by its environment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.model.facts import Accelerator
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause

OPTIONS = ("cache-type-k", "cache-type-v")
"""One variable stands for both. How many layers are on cards, Ollama finds out by itself."""

CAPABILITY = (5, 0)
"""The least compute capability of an NVIDIA card that Ollama uses (ollama/ollama@fb3076099, the line of 0.33)."""


def refuses_card(card: Accelerator) -> str:
    """An older one is left alone, silently."""
    major, _, minor = (card.compute_capability or "").partition(".")
    if not major.isdecimal() or (int(major), int(minor or 0)) >= CAPABILITY:
        return ""
    return f"Ollama needs compute capability 5.0, and {card.name} has {card.compute_capability}"


def command(_service: Service) -> list[str]:
    """Address, folder and sizes are no flags (envconfig of ollama/ollama@fb3076099)."""
    return ["serve"]


def environment(service: Service) -> Mapping[str, str]:
    """The cache is allocated for each parallel request, so the context is that of one; nothing is fetched or sent."""
    return {
        "OLLAMA_HOST": f"{f'[{service.host}]' if ':' in service.host else service.host}:{service.port}",
        "OLLAMA_MODELS": service.model_path.rsplit("/", 1)[0],
        "OLLAMA_CONTEXT_LENGTH": str(service.context),
        "OLLAMA_NUM_PARALLEL": str(service.slots),
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NO_CLOUD": "1",
        "DO_NOT_TRACK": "1",
        **({"OLLAMA_KV_CACHE_TYPE": cache} if (cache := service.options.get("cache-type-k")) else {}),
    }


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_llamacpp

    return _causes_llamacpp.CAUSES


ENGINE = Engine(
    name="ollama",
    title="Ollama",
    formats=("gguf",),
    command=command,
    environment=environment,
    health_path="/api/version",
    context_path="/api/ps",
    context_field=("models", "0", "context_length"),
    options=OPTIONS,
    alike=OPTIONS,
    refuses_card=refuses_card,
    program=("ollama",),
    targets=("docker",),
    vendors=("nvidia", "amd"),
    starts=False,
    causes=causes,
)
