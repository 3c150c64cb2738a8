"""Stacks to make services for."""

from collections.abc import Mapping

from provisioner.model.plan import Service
from provisioner.model.plugins import Place, Stack
from provisioner.model.record import replace

PLACE = Place("/srv/state", "/usr/bin/python3", "/etc/systemd/system", user_manager=False)

ENGINE = Service(
    name="llm", engine="vllm", argv=("vllm", "serve"), env={}, host="0.0.0.0", port=8000, model_name="qwen3-32b",
    model_path="/m/qwen", context=32768, slots=16, cpus=None, numa_nodes=None, memory_max_bytes=None,
    key_file="/srv/state/secrets/llm.key", health_path="/health", ready_seconds=60, first_token_seconds=30,
    image="vllm:1",
)  # fmt: skip

ALL = frozenset({"gateway", "openwebui", "prometheus", "grafana", "exporters"})


def engine(name: str = "llm", **other: object) -> Service:
    return replace(ENGINE, name=name, **other)  # type: ignore[arg-type]


def stack(
    *engines: Service,
    host: str = "127.0.0.1",
    port: int = 8443,
    vendors: tuple[str, ...] = (),
    images: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
    wanted: frozenset[str] = ALL,
) -> Stack:
    return Stack(
        engines=engines or (ENGINE,), place=PLACE, host=host, port=port, vendors=vendors, images=images or {},
        settings=settings or {}, wanted=wanted, hostname="llm.lab",
    )  # fmt: skip
