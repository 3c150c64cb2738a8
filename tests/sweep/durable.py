"""Which sync keeps what: one recorded run, replayed as often as it syncs, each time with one sync that does nothing.

What the model of the disk is held against is more than being mended by the next run: whenever the journal itself is
synced, all that was done before is on the disk, and so it is at the end.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from tests.sweep import disk

SYNCS = ("fsync", "fdatasync")
JOURNAL = "state.db-wal"
NOT_PROMISED = re.compile(r"(^|/)(lock|[^/]*\.tmp)$|^logs/.|^state\.db-(wal|shm|journal)$")
"""Half-made things, which the next run removes; the engine's words; what SQLite makes again out of its database."""
HASH = re.compile(r"[0-9a-f]{16,}|(?<=take-)[0-9a-f-]+")
"""What differs from run to run in a path: hashes, and inodes."""

Node = disk.File | disk.Folder
Before = Callable[[], disk.Disk]
"""Makes the disk as it is when the run begins; the folder that the state lies in is its root."""


@dataclass(frozen=True, slots=True)
class Sync:
    """One sync of a recorded run: its place among the operations, what it makes safe, and when that is done again."""

    number: int
    site: str
    """The same for every run: without hashes, and without the name that a thing has while it is made."""
    database: bool
    """SQLite's own: it uses `fdatasync`, and the program `fsync`."""
    following: int
    """Where the same file or folder is synced the next time, or where the run ends."""


def syncs(before: Before, operations: list[disk.Op], state: str) -> list[Sync]:
    """Every sync of this disk, in order."""
    model = before()
    found: list[tuple[int, Node, str]] = []
    for number, op in enumerate(operations):
        node = _synced(model, op)
        if node is not None:
            found.append((number, node, _site(model, node, state)))
        model.play(op)
    return [
        Sync(number, site, operations[number].call == "fdatasync", _following(found[at + 1 :], node, len(operations)))
        for at, (number, node, site) in enumerate(found)
    ]


def _following(later: list[tuple[int, Node, str]], node: Node, end: int) -> int:
    return next((number for number, other, _ in later if other is node), end)


def _synced(model: disk.Disk, op: disk.Op) -> Node | None:
    handle = model.handles.get(int(op.text)) if op.call in SYNCS else None
    return handle.node if handle else None


def _site(model: disk.Disk, node: Node, state: str) -> str:
    """A file by its name; a folder by its name and those of the things that come or go with this sync."""
    where = os.path.relpath(_path(model.top, node, model.root), state)
    if isinstance(node, disk.File):
        return f"file {_general(where)}"
    changed = {*node.names.items()} ^ {*node.durable.items()}
    return f"folder {_general(where)}: {', '.join(sorted({_general(name) for name, _ in changed})) or 'nothing new'}"


def _general(path: str) -> str:
    return HASH.sub("*", path).replace(".tmp", "")


def _path(folder: disk.Folder, node: Node, path: str) -> str:
    """Where a node is, if it is below this folder; these disks are small."""
    if folder is node:
        return path
    for name, inner in folder.names.items():
        if inner is node:
            return f"{path}/{name}"
        below = _path(inner, node, f"{path}/{name}") if isinstance(inner, disk.Folder) else ""
        if below:
            return below
    return ""


def losses(before: Before, operations: list[disk.Op], without: set[int], state: str) -> list[str]:
    """What a power cut could take away, or bring back, although the journal or the end of the run has it as done."""
    model = before()
    found: dict[str, None] = {}
    for number, op in enumerate(operations):
        committed = _synced(model, op)
        model.play(replace(op, injected=op.injected or number in without))
        if committed is not None and _path(model.top, committed, model.root) == f"{state}/{JOURNAL}":
            found.update(dict.fromkeys(_unsafe(model, state, "when the journal says so")))
    found.update(dict.fromkeys(_unsafe(model, state, "at the end")))
    return list(found)


def _unsafe(model: disk.Disk, state: str, when: str) -> Iterator[str]:
    name = os.path.basename(state)
    folder = model.top.names.get(name)
    if folder is not model.top.durable.get(name):
        yield f"the state folder {when}"
    elif isinstance(folder, disk.Folder):
        for path, what in _differences(folder, ""):
            if path != "state.db" or when == "at the end":
                yield f"{_general(path)} {what} {when}"


def _differences(folder: disk.Folder, below: str) -> Iterator[tuple[str, str]]:
    """Names and contents that are not on the disk as the program sees them."""
    for name in sorted({*folder.names, *folder.durable}):
        path = f"{below}{name}"
        node = folder.names.get(name)
        if NOT_PROMISED.search(path):
            continue
        if node is not folder.durable.get(name):
            yield path, "may be gone" if node else "may be back"
        elif isinstance(node, disk.Folder):
            yield from _differences(node, f"{path}/")
        elif isinstance(node, disk.File) and node.durable != bytes(node.content):
            yield path, "may be empty" if node.durable is None else "may be as it was"
