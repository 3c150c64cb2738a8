"""KTransformers (kt-kernel with its own SGLang): the experts of a mixture in host memory, everything else on one card."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.engines._flags import rendered
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause
    from provisioner.model.measured import Measured

OPTIONS = (
    "kt-method", "kt-cpuinfer", "kt-threadpool-count", "kt-num-gpu-experts", "kt-max-deferred-experts-per-token",
    "mem-fraction-static", "max-total-tokens", "chunked-prefill-size", "attention-backend", "reasoning-parser", "tool-call-parser",
)  # fmt: skip
"""What is planned of them is the placement; the others are SGLang's own choice unless they are set by name."""

EXPERTS = "experts"
"""The folder of GGUF files beside the checkpoint (planning.hosted)."""

START = """
python=/opt/miniconda3/envs/serve/bin/python
[ -x "$python" ] || python=python3
exec "$python" -m sglang.launch_server "$@"
"""
"""The published image keeps its server in an environment of its own, and starts a shell by default (kvcache-ai/ktransformers@95009ea
docker/Dockerfile); an image of somebody's own will have it on its path."""

START_SECONDS = 600
"""Libraries, kernels and graphs: what the tests of SGLang wait for, which it serves through (DEFAULT_TIMEOUT_FOR_SERVER_LAUNCH,
python/sglang/test/test_utils.py of sgl-project/sglang)."""


def command(service: Service) -> list[str]:
    """SGLang's arguments with `--kt-*` among them (kt-kernel 0.7.2).

    A shared expert that was fused with the others would have to be where they are: every published command leaves it apart
    (kvcache-ai/ktransformers@95009ea doc/en/kt-kernel).
    """
    return [
        "--model-path", service.model_path,
        "--kt-weight-path", f"{service.model_path}/{EXPERTS}",
        "--served-model-name", service.model_name,
        "--host", service.host,
        "--port", str(service.port),
        "--context-length", str(service.context),
        "--enable-metrics",
        "--disable-shared-experts-fusion",
        "--max-running-requests", str(service.slots),
        *rendered(service.options, OPTIONS, ()),
    ]  # fmt: skip


def environment(_service: Service) -> Mapping[str, str]:
    return {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def read_back(log: str, metrics: str) -> "Measured":
    from provisioner.engines import _sglang_readback

    return _sglang_readback.read_back(log, metrics)


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_ktransformers

    return _causes_ktransformers.CAUSES


ENGINE = Engine(
    name="ktransformers",
    title="KTransformers",
    formats=("gguf",),
    command=command,
    environment=environment,
    health_path="/health",
    context_path="/v1/models",
    context_field=("data", "0", "max_model_len"),
    options=OPTIONS,
    program=("/bin/sh", "-euc", START, "ktransformers"),
    keyless=True,
    targets=("docker",),
    start_seconds=START_SECONDS,
    bounded=False,
    experts_on_host=True,
    read_back=read_back,
    causes=causes,
)
