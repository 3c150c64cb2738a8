"""The OpenMP runtime that the embedded engine wants, on machines that have none.

llama.cpp's wheel leaves `libgomp.so.1` to the system, and a fresh Debian or Ubuntu has none before `libgomp1` is installed, which takes root.
Another small wheel carries the same library under a name of its own; it is loaded here under the name that the engine asks for.
"""

import ctypes
import os
import sys
from collections.abc import Iterable, Iterator

NAME = "libgomp.so.1"
FOLDER = "pykdtree.libs"


def bring(search: Iterable[str] = sys.path) -> None:
    """Make `libgomp.so.1` available to what is loaded after this; `OSError` with the remedy when that cannot be."""
    try:
        ctypes.CDLL(NAME)
    except OSError:
        carried = next(_carried(search), None)
        if carried is None:
            raise OSError(f"{NAME} is not installed; `apt install libgomp1` brings it") from None
        load_as(carried, NAME)


def _carried(search: Iterable[str]) -> Iterator[str]:
    for place in search:
        folder = os.path.join(place, FOLDER)
        if os.path.isdir(folder):
            yield from (os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.startswith("libgomp"))


def load_as(path: str, name: str) -> None:
    """Load a library whose own name (its SONAME, a hash added to it) is written over by another, in memory only."""
    own = os.path.basename(path).encode() + b"\0"
    with open(path, "rb") as file:
        content = file.read()
    if own not in content or len(name) >= len(own):
        raise OSError(f"{path} does not name itself")
    changed = content.replace(own, name.encode().ljust(len(own), b"\0"))
    memory = os.memfd_create(name)
    try:
        with open(memory, "wb", closefd=False) as stream:
            stream.write(changed)
        ctypes.CDLL(f"/proc/self/fd/{memory}")
    finally:
        os.close(memory)
