"""Running containers keep NVIDIA's cards when systemd reads its units anew, as each installation of a package makes it do."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import card_count
from provisioner.model.facts import ContainerEngine
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "cards_kept"
FIX = "`nvidia-ctk system create-dev-char-symlinks --create-all`, with a udev rule to do it at each start"
"""https://github.com/NVIDIA/nvidia-container-toolkit/issues/48, where the causes and the remedies are collected."""


def run(view: View) -> Iterator[Finding]:
    engine = view.facts.software.docker
    if view.upkeep is None or not isinstance(engine, ContainerEngine) or not card_count(view):
        return
    if engine.cgroup_driver == "systemd" and "nvidia" in engine.runtimes and view.upkeep.device_links is False:
        told = (
            "`systemctl daemon-reload` takes the cards from containers that run: "
            "systemd keeps their control groups, and /dev/char shows it no NVIDIA device"
        )
        yield Finding(NAME, "warning", told, fix=FIX)


CHECK = Check(name=NAME, stage="drift", run=run)
