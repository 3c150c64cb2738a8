"""LM Studio's headless daemon: llama.cpp's arithmetic, models side-loaded and loaded one by one with `lms`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.model.plan import Service
from provisioner.model.plugins import Engine

if TYPE_CHECKING:
    from provisioner.model.causes import Cause


START = """
lms daemon up
lms import --yes --hard-link --user-repo "provision/$1" "$2"
lms load "provision/$1" --identifier "$1" --context-length "$3" --gpu "$4"
exec lms server start --port "$5"
"""
"""The daemon, the file side-loaded as `models/provision/NAME/FILE` of its folder, the model under its own name, then the server. Each
further model is one more import and load: they are told apart by their identifiers (lmstudio.ai/docs: cli/daemon/daemon-up,
cli/local-models/import, cli/local-models/load, cli/serve/server-start, app/advanced/import-model).
"""

NOT_STARTED = "its daemon is closed and was not to be had: what is planned follows the documentation of its commands, and nobody ran it here"


def command(service: Service) -> list[str]:
    """What the shell is given: name, file, context, how much lies on cards, port."""
    on_cards = "max" if service.devices else "off"
    return [service.model_name, service.model_path, str(service.context * service.slots), on_cards, str(service.port)]


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
    program=("/bin/sh", "-euc", START, "lmstudio"),
    targets=("systemd",),
    systems=("Darwin",),
    vendors=("nvidia", "amd", "apple"),
    starts=False,
    not_started=NOT_STARTED,
    causes=causes,
)
