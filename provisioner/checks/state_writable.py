"""The state folder lies on a file system that can be written to and that survives a restart."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.mounts import holding
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "state_writable"
IN_MEMORY = ("tmpfs", "ramfs")


def run(view: View) -> Iterator[Finding]:
    if isinstance(view.facts.filesystems, Unknown):
        return
    home = holding(view.facts.filesystems, view.state)
    if home is None:
        return
    if home.read_only:
        yield Finding(
            NAME,
            "error",
            f"{view.state} lies on {home.mount}, which is mounted read-only",
            fix=f"`mount -o remount,rw {home.mount}`, or `--state-dir` elsewhere",
        )
    elif home.type in IN_MEMORY:
        yield Finding(
            NAME,
            "warning",
            f"{view.state} lies in memory ({home.type} on {home.mount}) and is gone after a restart",
            fix="`--state-dir` on a disk",
        )


CHECK = Check(name=NAME, stage="before", run=run)
