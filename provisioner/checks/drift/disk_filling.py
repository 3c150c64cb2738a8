"""What grows while the appliance runs has room: the state with its weights and logs, and the container engine's images."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import has_docker
from provisioner.model.facts import ContainerEngine, Unknown
from provisioner.model.mounts import holding
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "disk_filling"
DOCKER = "/var/lib/docker"
FULL_BYTES = 2 << 30
"""Below it an engine's log, a database or an image that is unpacked meets the end within minutes."""
LOW_SHARE, LOW_BYTES = 0.10, 50 << 30
"""The share at which a kubelet begins to evict (nodefs.available<10%); of a large disk that is still much, so fewer bytes than an
image and a small model take are wanted as well."""


def run(view: View) -> Iterator[Finding]:
    if isinstance(view.facts.filesystems, Unknown):
        return
    uses: dict[str, list[str]] = {}
    for use, path in _places(view):
        disk = holding(view.facts.filesystems, path)
        if disk is not None and disk.total_bytes:
            uses.setdefault(disk.mount, []).append(use)
    for disk in view.facts.filesystems:
        if disk.mount in uses:
            yield from room(disk.mount, disk.free_bytes, disk.total_bytes, " and ".join(uses.pop(disk.mount)))


def _places(view: View) -> Iterator[tuple[str, str]]:
    if view.state:
        yield "the state folder", view.state
    engine = view.facts.software.docker
    if has_docker(view):
        yield "Docker", (engine.root if isinstance(engine, ContainerEngine) else None) or DOCKER


def room(mount: str, free_bytes: int, total_bytes: int, use: str) -> Iterator[Finding]:
    told = f"{mount} ({use}) has {free_bytes / (1 << 30):,.1f} GiB of {total_bytes / (1 << 30):,.1f} GiB left"
    fix = f"`du -xh --max-depth=2 {mount} | sort -h | tail`; `docker system prune` removes images that nothing uses"
    if free_bytes < FULL_BYTES:
        yield Finding(NAME, "error", told, fix=fix)
    elif free_bytes < LOW_BYTES and free_bytes < total_bytes * LOW_SHARE:
        yield Finding(NAME, "warning", told, fix=fix)


CHECK = Check(name=NAME, stage="drift", run=run)
