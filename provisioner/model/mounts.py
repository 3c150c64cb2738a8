"""Which file system a path lies on."""

from provisioner.model.facts import Filesystem


def holding(filesystems: tuple[Filesystem, ...], path: str) -> Filesystem | None:
    """The one with the longest mount point above the path."""
    above = [entry for entry in filesystems if f"{path}/".startswith(f"{entry.mount.rstrip('/')}/")]
    return max(above, key=lambda entry: len(entry.mount), default=None)
