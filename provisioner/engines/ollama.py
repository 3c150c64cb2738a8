"""Ollama: llama.cpp's arithmetic behind a server of its own, configured by its environment."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.model.facts import DARWIN, Accelerator
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


STORE = "/tmp/ollama"  # noqa: S108 - a folder in memory inside the container
"""Its store of models: a name, a template and a link to the weights, made anew at each start; 16 KiB."""

START = r"""
ask() {
  exec 3<>"/dev/tcp/127.0.0.1/${OLLAMA_HOST##*:}"
  printf 'POST %s HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' "$1" "${#2}" "$2" >&3
  answer=$(cat <&3)
  exec 3>&-
  case $answer in *' 200 '*) ;; *) echo "Error: $1: $answer" >&2; exit 1 ;; esac
}
mkdir -p "$OLLAMA_MODELS/blobs"
ln -sf "$3" "$OLLAMA_MODELS/blobs/sha256-$2"
ollama serve &
trap 'kill -TERM $!' TERM INT
until (: <>"/dev/tcp/127.0.0.1/${OLLAMA_HOST##*:}") 2>/dev/null; do kill -0 $! && sleep 0.2; done
ask /api/create "{\"model\": \"$1\", \"files\": {\"model.gguf\": \"sha256:$2\"}, \"stream\": false}"
ask /api/generate "{\"model\": \"$1\", \"keep_alive\": -1, \"stream\": false}"
wait $!
"""
"""Serves, makes the model of the weights where they lie and loads it. Asking the server for it copies nothing and reads the
weights once: `ollama create` would hash them first (0.17.4 parser/parser.go), and the server finds the blob by its name.
The template is chosen by Ollama itself, from the one in the file (server/model.go, detectChatTemplate).
"""


def command(service: Service) -> list[str]:
    """Address, folder and sizes are no flags (envconfig of ollama/ollama@fb3076099)."""
    return [service.model_name, service.model_sha256, service.model_path]


def environment(service: Service) -> Mapping[str, str]:
    """The cache is allocated for each parallel request, so the context is that of one; nothing is fetched or sent.

    A cache in fewer bits works with flash attention alone (docs/faq.md of ollama/ollama@fb3076099).
    """
    cache = service.options.get("cache-type-k")
    return {
        "OLLAMA_HOST": f"{f'[{service.host}]' if ':' in service.host else service.host}:{service.port}",
        "OLLAMA_MODELS": STORE,
        "OLLAMA_CONTEXT_LENGTH": str(service.context),
        "OLLAMA_NUM_PARALLEL": str(service.slots),
        "OLLAMA_MAX_LOADED_MODELS": "1",
        "OLLAMA_KEEP_ALIVE": "-1",
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_NO_CLOUD": "1",
        "DO_NOT_TRACK": "1",
        **({"OLLAMA_KV_CACHE_TYPE": cache, "OLLAMA_FLASH_ATTENTION": "1"} if cache else {}),
    }


def on_devices(loaded: object) -> float | None:
    """`/api/ps` has the bytes of the model, and those of them on cards (ollama/ollama@fb3076099 api/types.go)."""
    models = loaded.get("models") if isinstance(loaded, dict) else None
    model = models[0] if isinstance(models, list) and models else None
    size, there = (model.get("size"), model.get("size_vram")) if isinstance(model, dict) else (None, None)
    if not isinstance(size, int) or not isinstance(there, int) or size <= 0:
        return None
    return min(1.0, max(0, there) / size)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_llamacpp

    return _causes_llamacpp.CAUSES


ENGINE = Engine(
    name="ollama",
    title="Ollama",
    formats=("gguf",),
    tasks=("chat", "embed"),
    command=command,
    environment=environment,
    health_path="/v1/models/{model}",
    context_path="/api/ps",
    context_field=("models", "0", "context_length"),
    options=OPTIONS,
    alike=OPTIONS,
    refuses_card=refuses_card,
    program=("/bin/bash", "-euc", START, "ollama"),
    keyless=True,
    one_file=True,
    targets=("docker",),
    systems=(DARWIN,),
    vendors=("nvidia", "amd", "apple"),
    on_devices=on_devices,
    causes=causes,
)
