"""Transformers' own server, for a quick look at a model: one request at a time is computed, on one card or on processors."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.engines._constants import GIB, amount, constant
from provisioner.model.cpus import from_list
from provisioner.model.load import Amount, Load, Usage
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause

HALF = 2
"""Bytes of an intermediate value."""

CACHE = "/tmp/hub"  # noqa: S108 - a folder in memory inside the container

START = """
name=$1 weights=$2
shift 2
mkdir -p "$HF_HUB_CACHE/models--$name/refs" "$HF_HUB_CACHE/models--$name/snapshots" "$HF_HUB_CACHE/models--$name/blobs"
printf local > "$HF_HUB_CACHE/models--$name/refs/main"
ln -sfn "$weights" "$HF_HUB_CACHE/models--$name/snapshots/local"
exec transformers serve "$name" "$@"
"""
"""It lists what lies in the hub's cache, and answers to that name: so a link to the weights stands there under theirs
(huggingface_hub, cache layout; 5.19.0 cli/serving/model_manager.py, get_gen_models)."""

START_SECONDS = 120
"""Libraries alone; it captures nothing."""


def command(service: Service) -> list[str]:
    return [
        service.model_name,
        service.model_path,
        "--host", service.host,
        "--port", str(service.port),
        "--device", "cuda" if service.devices else "cpu",
        "--dtype", "auto",
    ]  # fmt: skip


def environment(_service: Service) -> Mapping[str, str]:
    """Nothing is fetched and nothing is reported."""
    return {"HF_HUB_CACHE": CACHE, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}


def on_processors(ranks: tuple[str, ...]) -> Mapping[str, str]:
    return {"OMP_NUM_THREADS": str(len(from_list(ranks[0])))}


def refuses(load: Load) -> str:
    if load.degrees.ranks > 1:
        return "it serves on one device; take vLLM for more"
    if load.precision not in ("bf16", "fp16"):
        return f"it is planned for 16 bits alone, and this is {load.precision}; take vLLM"
    return ""


def usage(load: Load) -> Usage:
    """What it needs, and no share: caches grow with each request."""
    prompt = HALF * load.context * (4 * load.geometry.hidden + 3 * load.geometry.feed_forward)
    activation = Amount(prompt, prompt // 2, 2 * prompt, "one layer over a whole prompt (an assumption)")
    runtime = amount(constant(load, "runtime_gib"), GIB, "libraries")
    cache = load.sequences * load.context * load.kv_bytes_per_token
    fixed, nothing = load.weights_bytes + cache, Amount(0, 0, 0, "no graphs")
    budget = Amount(
        fixed + activation.bytes + runtime.bytes,
        fixed + activation.high + runtime.high,
        fixed + activation.low + runtime.low,
        "what it needs",
    )
    return Usage(budget, activation, nothing, runtime, graphs_inside=True)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_torch as known

    return (*known.DRIVER, *known.PLACE, *known.FILES, *known.MEMORY)


ENGINE = Engine(
    name="transformers",
    title="Transformers",
    formats=("safetensors",),
    command=command,
    environment=environment,
    health_path="/health",
    context_path="",
    context_field=(),
    program=("/bin/sh", "-euc", START, "transformers"),
    keyless=True,
    targets=("docker",),
    start_seconds=START_SECONDS,
    bounded=False,
    vendors=("nvidia",),
    refuses=refuses,
    usage=usage,
    on_processors=on_processors,
    causes=causes,
)
