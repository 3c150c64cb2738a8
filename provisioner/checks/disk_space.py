"""The state folder's file system has room for the weights that are not there yet, and for what runs beside them."""

from collections.abc import Iterator

from provisioner.model.facts import Filesystem, Unknown
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
    needed = missing + RUNTIME_BYTES
    lacking = needed - home.free_bytes - view.spare_bytes
    if lacking > 0:
        yield Finding(
            NAME,
            "error",
            f"{home.mount} has {_gib(home.free_bytes)} free, and {_gib(needed)} are needed: "
            f"{_gib(missing)} of weights and {_gib(RUNTIME_BYTES)} for the runtime",
            fix=f"free {_gib(lacking)} on {home.mount}, or `--state-dir` on a larger file system",
        )
    if home.free_inodes is not None and 0 < home.free_inodes < FEW_INODES:
        yield Finding(
            NAME, "warning", f"{home.mount} has only {home.free_inodes} inodes left", fix="remove small files"
        )


def _takes_space(file: WeightFile, home: Filesystem, filesystems: tuple[Filesystem, ...], state: str) -> bool:
    """A file of the same file system is linked, and one in the store is there already."""
    if not file.origin.startswith("/"):
        return True
    return not file.origin.startswith(f"{state}/") and holding(filesystems, file.origin) != home


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


CHECK = Check(name=NAME, stage="before", run=run)
