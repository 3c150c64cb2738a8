"""Somebody keeps the clock in step, where systemd's own service leaves no word of it."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "time_service"
SERVICES = frozenset(["chronyd", "ntpd", "ntpsec", "phc2sys", "ptp4l", "systemd-timesyncd"[:15]])
CONTAINERS = ("docker", "podman", "lxc", "systemd-nspawn")
"""Their clock is the host's."""


def run(view: View) -> Iterator[Finding]:
    programs = view.upkeep.programs if view.upkeep else frozenset()
    if isinstance(programs, Unknown) or not programs or not isinstance(view.facts.software.clock_synchronised, Unknown):
        return
    inside = None if isinstance(view.facts.host, Unknown) else view.facts.host.virtualization
    if inside not in CONTAINERS and not SERVICES & programs:
        yield Finding(
            NAME,
            "warning",
            "no program keeps the clock in step",
            fix="`apt-get install chrony`, or `provision prepare`",
        )


CHECK = Check(name=NAME, stage="drift", run=run)
