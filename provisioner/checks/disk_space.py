"""There is room for the weights and the images that are not there yet, and for what runs beside them."""

from collections.abc import Iterator

from provisioner.model.facts import ContainerEngine, Filesystem, Unknown
from provisioner.model.mounts import holding
from provisioner.model.plan import Finding, WeightFile
from provisioner.model.plugins import Check, View

NAME = "disk_space"
RUNTIME_BYTES = 512 << 20
"""Rendered releases, the state database with its journal, and three rotated logs for each service."""
FEW_INODES = 1000


def run(view: View) -> Iterator[Finding]:
    if view.plan.model is None or isinstance(view.facts.filesystems, Unknown):
        return
    home = holding(view.facts.filesystems, view.state)
    if home is None:
        return
    missing = sum(
        file.size_bytes for file in view.plan.weights if _takes_space(file, home, view.facts.filesystems, view.state)
    )
    images = _images_at(view, view.facts.filesystems)
    yield from _room_for_images(view.image_bytes, images, home)
    beside = view.image_bytes if images == home else 0
    needed = missing + beside + RUNTIME_BYTES
    lacking = needed - home.free_bytes - view.spare_bytes
    if lacking > 0:
        yield Finding(
            NAME,
            "error",
            f"{home.mount} has {_gib(home.free_bytes)} free, and {_gib(needed)} are needed: "
            f"{_gib(missing)} of weights{_and_images(beside)} and {_gib(RUNTIME_BYTES)} for the runtime",
            fix=f"free {_gib(lacking)} on {home.mount}, or `--state-dir` on a larger file system",
        )
    if home.free_inodes is not None and 0 < home.free_inodes < FEW_INODES:
        yield Finding(
            NAME, "warning", f"{home.mount} has only {home.free_inodes} inodes left", fix="remove small files"
        )


def _images_at(view: View, filesystems: tuple[Filesystem, ...]) -> Filesystem | None:
    """Where the container engine keeps them."""
    engine = view.facts.software.docker
    root = engine.root if isinstance(engine, ContainerEngine) else None
    return holding(filesystems, root) if root and view.image_bytes else None


def _room_for_images(needed: int, disk: Filesystem | None, home: Filesystem) -> Iterator[Finding]:
    """On a disk of their own; where the state is on the same one, they are counted with it."""
    if disk and disk != home and needed > disk.free_bytes:
        yield Finding(
            NAME,
            "error",
            f"{disk.mount} has {_gib(disk.free_bytes)} free, and {_gib(needed)} are needed for images",
            fix=f"free {_gib(needed - disk.free_bytes)} on {disk.mount}: `docker system prune` removes what nothing uses",
        )


def _and_images(count: int) -> str:
    return f", {_gib(count)} of images" if count else ""


def _takes_space(file: WeightFile, home: Filesystem, filesystems: tuple[Filesystem, ...], state: str) -> bool:
    """A file of the same file system is linked, and one in the store is there already."""
    if not file.origin.startswith("/"):
        return True
    return not file.origin.startswith(f"{state}/") and holding(filesystems, file.origin) != home


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


CHECK = Check(name=NAME, stage="before", run=run)
