"""A plan for containers meets a container engine that takes it."""

from collections.abc import Iterator

from provisioner.model.facts import ContainerEngine, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "docker_ready"
LEAST_API = (1, 41)
"""Docker 20.10: the oldest that the whole stack was run on."""
OTHER = "`--target process`, which works on every machine"
NOT_STATED = "not stated"


def run(view: View) -> Iterator[Finding]:
    engine = view.facts.software.docker
    if view.plan.target != "docker":
        return
    if engine is None:
        what = "no Docker Engine runs here"
        yield Finding(
            NAME,
            "error",
            what,
            fix=f"`provision up --prepare` installs it; start one that is installed (`systemctl start docker`); or {OTHER}",
        )
    elif isinstance(engine, Unknown):
        if not engine.reason.startswith(NOT_STATED):
            what = f"Docker Engine is there and cannot be asked: {engine.reason}"
            yield Finding(NAME, "error", what, fix=f"run as root or as a member of the group `docker`; or {OTHER}")
    else:
        yield from _of(engine)


def _of(engine: ContainerEngine) -> Iterator[Finding]:
    if engine.podman:
        what = f"Podman {engine.version} answers at Docker's socket: the stack has been proved on Docker Engine alone, whose restarts and limits Podman does not keep alike"
        yield Finding(NAME, "error", what, fix=f"install Docker Engine (`provision prepare`) beside it, or {OTHER}")
        return
    if engine.rootless:
        what = "this Docker Engine runs without root: it reaches neither the secrets nor the limits that the stack counts on"
        yield Finding(
            NAME, "error", what, fix=f"use the system's own Docker Engine (`docker context use default`), or {OTHER}"
        )
    version = tuple(int(part) for part in engine.api_version.split(".") if part.isdecimal())
    if version and version < LEAST_API:
        what = f"Docker Engine {engine.version} is too old: its interface is {engine.api_version}, and 1.41 (Docker 20.10) is needed"
        yield Finding(NAME, "error", what, fix="install a newer one: `provision prepare`")


CHECK = Check(name=NAME, stage="before", run=run)
