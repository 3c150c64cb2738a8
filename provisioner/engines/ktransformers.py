"""KTransformers (kt-kernel with its own SGLang): the experts of a mixture in host memory, everything else on one card."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.engines._flags import rendered
from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause

OPTIONS = ("kt-method", "kt-cpuinfer", "kt-threadpool-count", "kt-num-gpu-experts", "mem-fraction-static")

START_SECONDS = 600
"""Libraries, kernels and graphs: what the tests of SGLang wait for, which it serves through (DEFAULT_TIMEOUT_FOR_SERVER_LAUNCH,
python/sglang/test/test_utils.py of sgl-project/sglang)."""

NOT_STARTED = (
    "it reads experts out of GGUF files and all else out of the model's safetensors, and a plan has one of the two; nor could an image "
    "of it be tried on a card"
)
"""kt-kernel 0.7.2: `--kt-weight-path` beside `--model-path`. Its arguments are those that its own parser reads."""


def command(service: Service) -> list[str]:
    """SGLang's arguments with `--kt-*` among them (kt-kernel 0.7.2)."""
    return [
        "--model-path", service.model_path,
        "--kt-weight-path", service.model_path,
        "--served-model-name", service.model_name,
        "--host", service.host,
        "--port", str(service.port),
        "--context-length", str(service.context),
        "--enable-metrics",
        "--max-running-requests", str(service.slots),
        *rendered(service.options, OPTIONS, ()),
    ]  # fmt: skip


def environment(_service: Service) -> Mapping[str, str]:
    return {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_sglang

    return _causes_sglang.CAUSES


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
    program=("python3", "-m", "sglang.launch_server"),
    targets=("docker",),
    starts=False,
    not_started=NOT_STARTED,
    start_seconds=START_SECONDS,
    bounded=False,
    experts_on_host=True,
    causes=causes,
)
