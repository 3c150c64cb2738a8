"""Containers get NVIDIA's cards: the toolkit is there, the engine knows it, and the interface files are of this driver."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import card_count, grave_where_used, has_docker, loaded_driver, packages
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.upkeep import DeviceInterface

NAME = "toolkit_ready"
RUNTIME, KIND = "nvidia", "nvidia.com/gpu"
PACKAGES = {"nvidia-container-toolkit", "nvidia-container-toolkit-base"}
CONFIGURE = "`nvidia-ctk runtime configure --runtime=docker`, then `systemctl restart docker` (its containers stop)"


def run(view: View) -> Iterator[Finding]:
    if view.upkeep is None or not (card_count(view) or loaded_driver(view)):
        return
    interfaces = () if isinstance(view.upkeep.interfaces, Unknown) else view.upkeep.interfaces
    ours = tuple(one for one in interfaces if one.kind == KIND)
    if has_docker(view):
        yield from _configured(view, bool(ours)) if _installed(view) else _missing(view)
    for interface in ours:
        yield from _stale(view, interface)


def _installed(view: View) -> bool:
    """By the package database, where it is read; the files that the toolkit leaves may outlive it."""
    known = set(packages(view))
    return bool(PACKAGES & known) if known else isinstance(view.facts.software.container_toolkit, str)


def _missing(view: View) -> Iterator[Finding]:
    told = "Docker and NVIDIA's driver are there, and NVIDIA's container toolkit is not: no container gets a card"
    yield Finding(
        NAME, grave_where_used(view), told, fix="`apt-get install nvidia-container-toolkit`, or `provision prepare`"
    )


def _configured(view: View, described: bool) -> Iterator[Finding]:
    """Either way of handing cards out is enough: the runtime of its own, or the device interface."""
    engine, file = view.facts.software.docker, view.upkeep.docker_configuration if view.upkeep else None
    running = () if engine is None or isinstance(engine, Unknown) else engine.runtimes
    written = () if file is None or isinstance(file, Unknown) else file.runtimes
    if RUNTIME in running or described:
        return
    if RUNTIME in written:
        told = "Docker's configuration has the runtime `nvidia`, and Docker was not started since it was written"
        yield Finding(NAME, grave_where_used(view), told, fix="`systemctl restart docker` (its containers stop)")
    else:
        told = "NVIDIA's container toolkit is installed, and Docker does not know it: no runtime `nvidia`, no device interface"
        yield Finding(NAME, grave_where_used(view), told, fix=CONFIGURE)


def _stale(view: View, interface: DeviceInterface) -> Iterator[Finding]:
    loaded, fix = loaded_driver(view), f"`nvidia-ctk cdi generate --output={interface.path}`"
    others = [version for version in interface.drivers if version != loaded]
    if loaded and others:
        told = f"{interface.path} names the files of driver {others[0]}, and {loaded} is loaded: containers would not start"
        yield Finding(NAME, grave_where_used(view), told, fix=fix)
    counted = sum(name.isdecimal() for name in interface.devices)
    if counted and counted < card_count(view):
        told = f"{interface.path} describes {counted} cards, and {card_count(view)} are there"
        yield Finding(NAME, "warning", told, fix=fix)


CHECK = Check(name=NAME, stage="drift", run=run)
