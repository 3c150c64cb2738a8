"""LM Studio's headless daemon: llama.cpp's arithmetic, models side-loaded and loaded one by one with `lms`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause


def command(service: Service) -> list[str]:
    """`lms server start` (LM Studio's documentation of its command line; not run here: it is closed and not to be had)."""
    return ["server", "start", "--port", str(service.port)]


def environment(_service: Service) -> Mapping[str, str]:
    return {"DO_NOT_TRACK": "1"}


def causes() -> "tuple[Cause, ...]":
    from provisioner.engines import _causes_llamacpp

    return _causes_llamacpp.CAUSES


ENGINE = Engine(
    name="lmstudio",
    title="LM Studio",
    formats=("gguf",),
    tasks=("chat", "embed"),
    command=command,
    environment=environment,
    health_path="/v1/models",
    context_path="/api/v0/models",
    context_field=("data", "0", "loaded_context_length"),
    program=("lms",),
    targets=("systemd",),
    systems=("Darwin",),
    vendors=("nvidia", "amd", "apple"),
    starts=False,
    causes=causes,
)
