"""Docker would start again: a configuration that was broken since its last start is only found at the next one."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "docker_starts"


def run(view: View) -> Iterator[Finding]:
    file = view.upkeep.docker_configuration if view.upkeep else None
    if file is not None and not isinstance(file, Unknown) and file.broken:
        told = f"/etc/docker/daemon.json: {file.broken}: Docker does not start with it"
        yield Finding(NAME, "error", told, fix="mend it, and prove it with `dockerd --validate`")


CHECK = Check(name=NAME, stage="drift", run=run)
