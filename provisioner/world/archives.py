"""Images that lie in archives on this machine, as `docker save` writes them."""

import json
import os
import tarfile
from collections.abc import Iterator, Mapping

from provisioner.errors import BadInput

ENDING = ".tar"
FIX = "`docker save --output images.tar NAME …` makes one, uncompressed"
INDEX = "manifest.json"
"""What `docker save` calls its list of images, at the end of the archive: moby/moby, image/tarexport."""


def holding(path: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """The archive of each of these images, for those that are in one."""
    found: dict[str, str] = {}
    for archive in _archives(path):
        inside = {whole(name) for name in _named(archive)}
        found |= {name: archive for name in names if name not in found and whole(name) in inside}
    return found


def whole(name: str) -> str:
    """A name with what Docker leaves out of it: distribution/reference, normalize.go."""
    first, slash, _ = name.partition("/")
    here = bool(slash) and ("." in first or ":" in first or first == "localhost")
    named = name if here else f"docker.io/{name if slash else f'library/{name}'}"
    tagged = "@" in named or ":" in named.rpartition("/")[2]
    return named if tagged else f"{named}:latest"


def _archives(path: str) -> tuple[str, ...]:
    """The file that is named, or all of a folder."""
    if os.path.isfile(path):
        return (path,)
    try:
        found = tuple(f"{path}/{name}" for name in sorted(os.listdir(path)) if name.endswith(ENDING))
    except OSError as error:
        raise BadInput(
            f"--images {path}: {error.strerror}", fix=f"name an archive, or a folder of some: {FIX}"
        ) from None
    if not found:
        raise BadInput(f"--images {path}: no archive ({ENDING}) is in this folder", fix=FIX)
    return found


def _named(archive: str) -> Iterator[str]:
    """What the images in it are called. Only headers are read, however large the layers are."""
    try:
        # Without `r:`, a compressed archive of many gigabytes would be unpacked to look into it.
        with tarfile.open(archive, "r:") as opened:
            listed = opened.extractfile(INDEX)
            for image in json.load(listed) if listed else ():
                yield from image.get("RepoTags") or ()
    except (OSError, KeyError, ValueError, AttributeError, tarfile.TarError) as error:
        raise BadInput(f"--images {archive}: this is no archive of images: {error}", fix=FIX) from None
