"""Text files and links by path: of this machine, of a folder that holds another one's, or kept in memory."""

import errno
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Protocol

from provisioner.model.facts import Answers, ReadFiles, Unknown

LARGEST_FILE = 16 << 20
"""More than any machine's /proc/cpuinfo; beyond it a recording is not to be trusted."""
MOST_LINKS = 40
"""As many symbolic links in one path as the kernel itself follows."""
DEEPEST_LINK = 100
"""Folders in the target of one link; sysfs needs about fifteen."""


class Tree(Protocol):
    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing when it is none."""

    def text(self, path: str) -> str | Unknown | None:
        """A file's text; None when it is not there, `Unknown` when it is and cannot be read."""

    def target(self, path: str) -> str | None:
        """Where a symbolic link points."""


def answer(tree: Tree, question: ReadFiles) -> Answers:
    """Every file and link that the patterns of a question find."""
    found: dict[str, str | Unknown] = {}
    for pattern in question.files:
        for path in expand(tree, pattern):
            text = tree.text(path)
            if text is not None:
                found[path] = text
    for pattern in question.links:
        for path in expand(tree, pattern):
            target = tree.target(path)
            if target is not None:
                found[path] = target
    return found


def expand(tree: Tree, pattern: str) -> Iterable[str]:
    """The paths that a pattern may mean. Only a part with a star needs its folder listed."""
    paths = [""]
    for part in pattern.split("/")[1:]:
        if "*" in part:
            head, _, tail = part.partition("*")
            shortest = len(head) + len(tail)
            paths = [
                f"{path}/{name}"
                for path in paths
                for name in sorted(tree.names(path or "/"))
                if len(name) >= shortest and name.startswith(head) and name.endswith(tail)
            ]
        else:
            paths = [f"{path}/{part}" for path in paths]
    return paths


class LiveTree:
    """The files of this machine, as this process sees them."""

    def names(self, folder: str) -> list[str]:
        try:
            return os.listdir(folder)
        except (OSError, ValueError):
            return []

    def text(self, path: str) -> str | Unknown | None:
        return _read(path)

    def target(self, path: str) -> str | None:
        return _target(path)


class FolderTree:
    """Another machine's files below a folder. Links are followed inside it, never out of it."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/") or "/"
        self._folders: dict[str, str | None] = {"": ""}

    def names(self, folder: str) -> list[str]:
        real = self._inside(folder)
        if real is None:
            return []
        try:
            return os.listdir(self._root + real)
        except (OSError, ValueError):
            return []

    def text(self, path: str) -> str | Unknown | None:
        folder, _, name = path.rpartition("/")
        real = self._inside(folder)
        if real is None:
            return None
        found = _regular(f"{self._root}{real}/{name}")
        return self._through_link(path) if found is _IS_A_LINK else found

    def _through_link(self, path: str) -> str | Unknown | None:
        real = self._inside(path)
        return None if real is None else _regular(self._root + real)

    def target(self, path: str) -> str | None:
        folder, _, name = path.rpartition("/")
        real = self._inside(folder)
        return None if real is None else _target(f"{self._root}{real}/{name}")

    def _inside(self, path: str, links: int = 0) -> str | None:
        """The same place without links, as a path below the root; None where links go round in circles."""
        path = path.rstrip("/")
        if path in self._folders:
            return self._folders[path]
        folder, _, name = path.rpartition("/")
        parent = self._inside(folder, links)
        real = None if parent is None else self._step(parent, name, links)
        if links == 0:
            self._folders[path] = real
        return real

    def _step(self, parent: str, name: str, links: int) -> str | None:
        if name in ("", "."):
            return parent
        if name == "..":
            return parent.rpartition("/")[0]
        here = f"{parent}/{name}"
        target = _target(self._root + here)
        if target is None:
            return here
        if links >= MOST_LINKS or target.count("/") > DEEPEST_LINK:
            return None
        return self._inside(target if target.startswith("/") else f"{parent}/{target}", links + 1)


class MemoryTree:
    """Files kept as texts: a recording in one document, a machine made up for a test."""

    def __init__(self, files: Mapping[str, str | Unknown], links: Mapping[str, str]) -> None:
        self._files = files
        self._links = links
        self._folders: dict[str, set[str]] = {}
        for path in (*files, *links):
            self._place(path)

    def names(self, folder: str) -> list[str]:
        return sorted(self._folders.get(folder.rstrip("/"), ()))

    def text(self, path: str) -> str | Unknown | None:
        if path in self._files:
            return self._files[path]
        return Unknown("Is a directory") if path in self._folders else None

    def target(self, path: str) -> str | None:
        return self._links.get(path)

    def _place(self, path: str) -> None:
        while path:
            folder, _, name = path.rpartition("/")
            known = self._folders.setdefault(folder, set())
            if name in known:
                return
            known.add(name)
            path = folder


def _read(path: str) -> str | Unknown | None:
    """A file of this machine."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return _why(error)
    return _text(handle)


_IS_A_LINK = Unknown("Is a symbolic link")


def _regular(path: str) -> str | Unknown | None:
    """A file of a recording, which may hold anything: a link, a pipe or a device is not read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        return _IS_A_LINK if getattr(error, "errno", None) == errno.ELOOP else _why(error)
    kind = os.fstat(handle).st_mode
    if stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        return _text(handle)
    os.close(handle)
    return Unknown("Not a regular file")


def _text(handle: int) -> str | Unknown:
    try:
        return _all(handle).decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        return _why(error)
    finally:
        os.close(handle)


def _all(handle: int) -> bytes:
    """The whole file: /proc hands it out in pieces and does not tell its size."""
    first = os.read(handle, 1 << 13)
    pieces = [first]
    size = len(first)
    while pieces[-1]:
        pieces.append(os.read(handle, 1 << 16))
        size += len(pieces[-1])
        if size > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE >> 20} MiB")
    return b"".join(pieces)


def _target(path: str) -> str | None:
    try:
        return os.readlink(path)
    except (OSError, ValueError):
        return None


def _why(error: OSError | ValueError) -> Unknown:
    return Unknown((error.strerror if isinstance(error, OSError) else None) or str(error))
