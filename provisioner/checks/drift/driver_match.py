"""NVIDIA's driver in the kernel and its libraries are of one version: an upgrade replaces the files, and not what is loaded."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import loaded_driver
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "driver_match"
FIX = (
    "`systemctl reboot`, or without one, when no program uses the cards: "
    "`rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && modprobe nvidia`"
)


def run(view: View) -> Iterator[Finding]:
    loaded = loaded_driver(view)
    if view.upkeep is None or loaded is None or isinstance(view.upkeep.libraries, Unknown):
        return
    others = [version for version in view.upkeep.libraries if version != loaded]
    if others:
        # Where the right ones are there as well, the others may be those of another word length.
        level = "warning" if loaded in view.upkeep.libraries else "error"
        told = f"driver {loaded} is loaded, and the libraries are of {' and '.join(others)}: what is started now sees no card"
        yield Finding(NAME, level, told, fix=FIX)


CHECK = Check(name=NAME, stage="drift", run=run)
