"""What a power cut leaves: a recorded run replayed onto a model of a disk that keeps only what was synced.

The model is as unkind as POSIX allows. A file keeps the bytes that it had when it was last synced; a folder keeps the
names that it had when it was last synced (`names="synced"`) or all of them (`names="kept"`): the second is the classic
empty file behind a durable rename. No processes survive.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field

CALLS = (
    "openat", "write", "pwrite64", "lseek", "ftruncate", "fsync", "fdatasync", "rename", "renameat2", "link", "linkat",
    "unlink", "unlinkat", "mkdir", "rmdir", "fchmod", "close",
)  # fmt: skip
LINE = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)(.*)$")
OPEN = "/proc/self/fd/"
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass(frozen=True, slots=True)
class Op:
    call: str
    strings: tuple[bytes, ...]
    text: str
    """The arguments with their strings taken out."""
    result: int
    injected: bool


def record(command: list[str], trace: str, blow: str = "") -> subprocess.CompletedProcess[str]:
    """Run it and write down every change of files with its bytes; `blow` changes what a call does."""
    inject = ["-e", f"inject={blow}"] if blow else []
    return subprocess.run(
        ["strace", "-xx", "-s", "33554432", "-o", trace, "-e", f"trace={','.join(CALLS)}", *inject, *command],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def operations(trace: str) -> Iterator[Op]:
    with open(trace, encoding="ascii", errors="replace") as stream:
        for line in stream:
            match = LINE.match(line.rstrip())
            if match and int(match[3]) >= 0:
                strings = tuple(bytes.fromhex(text.replace("\\x", "")) for text in STRING.findall(match[2]))
                yield Op(match[1], strings, STRING.sub('""', match[2]), int(match[3]), "INJECTED" in match[4])


@dataclass(eq=False)
class File:
    content: bytearray = field(default_factory=bytearray)
    durable: bytes | None = None
    """None: never synced, so that not even its length is sure."""
    mode: int = 0o644


@dataclass(eq=False)
class Folder:
    names: dict[str, "File | Folder"] = field(default_factory=dict)
    durable: dict[str, "File | Folder"] = field(default_factory=dict)


@dataclass
class Handle:
    node: File | Folder
    position: int = 0
    append: bool = False


class Disk:
    """The part of the tree below one folder; everything else is somebody else's disk."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.top = Folder()
        self.handles: dict[int, Handle] = {}

    def _find(self, path: str) -> tuple[Folder, str] | None:
        """The folder that holds the last name of a path, if it is on this disk."""
        if not path.startswith(self.root + "/"):
            return None
        *above, name = path[len(self.root) + 1 :].split("/")
        folder = self.top
        for part in above:
            inner = folder.names.get(part)
            if not isinstance(inner, Folder):
                return None
            folder = inner
        return folder, name

    def play(self, op: Op) -> bool:
        """Apply one call; True when it changed or synced this disk."""
        handler = getattr(self, f"_{op.call}", None)
        return bool(handler(op)) if handler else False

    def _openat(self, op: Op) -> bool:
        path = op.strings[0].decode().rstrip("/")
        self.handles.pop(op.result, None)
        if path == self.root:
            self.handles[op.result] = Handle(self.top)
            return False
        found = self._find(path)
        if not found:
            return False
        folder, name = found
        made = name not in folder.names
        if made and "O_CREAT" not in op.text:
            return False
        if made:
            mode = re.search(r", 0(\d+)$", op.text)
            folder.names[name] = File(mode=int(mode[1], 8) if mode else 0o644)
        node = folder.names[name]
        if isinstance(node, File) and "O_TRUNC" in op.text:
            node.content = bytearray()
        self.handles[op.result] = Handle(node, append="O_APPEND" in op.text)
        return made

    def _handle(self, op: Op) -> Handle | None:
        return self.handles.get(int(re.match(r"\d+", op.text)[0]))  # type: ignore[index]

    def _close(self, op: Op) -> bool:
        self.handles.pop(int(op.text), None)
        return False

    def _lseek(self, op: Op) -> bool:
        handle = self._handle(op)
        if handle:
            handle.position = op.result
        return False

    def _write(self, op: Op) -> bool:
        handle = self._handle(op)
        if not handle or not isinstance(handle.node, File):
            return False
        at = len(handle.node.content) if handle.append else handle.position
        self._put(handle.node, at, op.strings[0][: op.result])
        handle.position = at + op.result
        return True

    def _pwrite64(self, op: Op) -> bool:
        handle = self._handle(op)
        if not handle or not isinstance(handle.node, File):
            return False
        self._put(handle.node, int(op.text.rsplit(",", 1)[1]), op.strings[0][: op.result])
        return True

    @staticmethod
    def _put(file: File, at: int, data: bytes) -> None:
        if len(file.content) < at:
            file.content.extend(bytes(at - len(file.content)))
        file.content[at : at + len(data)] = data

    def _ftruncate(self, op: Op) -> bool:
        handle = self._handle(op)
        if not handle or not isinstance(handle.node, File):
            return False
        length = int(op.text.rsplit(",", 1)[1])
        content = handle.node.content
        del content[length:]
        content.extend(bytes(length - len(content)))
        return True

    def _fchmod(self, op: Op) -> bool:
        handle = self._handle(op)
        if handle and isinstance(handle.node, File):
            handle.node.mode = int(op.text.rsplit(",", 1)[1].strip(), 8)
        return False

    def _fsync(self, op: Op) -> bool:
        handle = self._handle(op)
        if not handle or op.injected:
            return False
        if isinstance(handle.node, File):
            handle.node.durable = bytes(handle.node.content)
        else:
            handle.node.durable = dict(handle.node.names)
        return True

    _fdatasync = _fsync

    def _rename(self, op: Op) -> bool:
        old, new = (self._find(text.decode()) for text in op.strings[:2])
        if not old or not new or old[1] not in old[0].names:
            return False
        new[0].names[new[1]] = old[0].names.pop(old[1])
        return True

    _renameat2 = _rename

    def _link(self, op: Op) -> bool:
        node, new = self._named(op.strings[0].decode()), self._find(op.strings[1].decode())
        if not node or not new:
            return False
        new[0].names[new[1]] = node
        return True

    def _named(self, path: str) -> File | Folder | None:
        """What has this name; a file may also be named by a descriptor of it that is open."""
        if path.startswith(OPEN):
            handle = self.handles.get(int(path.removeprefix(OPEN)))
            return handle.node if handle else None
        found = self._find(path)
        return found[0].names.get(found[1]) if found else None

    _linkat = _link

    def _mkdir(self, op: Op) -> bool:
        found = self._find(op.strings[0].decode())
        if not found:
            return False
        found[0].names[found[1]] = Folder()
        return True

    def _unlink(self, op: Op) -> bool:
        found = self._find(op.strings[0].decode())
        return bool(found and found[0].names.pop(found[1], None))

    _rmdir = _unlink

    def _unlinkat(self, op: Op) -> bool:
        name = op.strings[0].decode()
        if op.text.startswith("AT_FDCWD"):
            return self._unlink(op)
        handle = self._handle(op)
        return bool(handle and isinstance(handle.node, Folder) and handle.node.names.pop(name, None))

    def after_power_cut(self, folder: str, names: str) -> None:
        """Write what is left of this disk into a real folder that is empty."""
        os.makedirs(folder, exist_ok=True)
        _write(self.top, folder, names, {})

    def load(self, folder: str, name: str = "") -> None:
        """Start from a real folder whose every byte has long been on the disk; `name` is where it lies, if not on top."""
        loaded = _read(folder, {})
        if name:
            self.top.names[name] = self.top.durable[name] = loaded
        else:
            self.top = loaded


def _write(node: Folder, path: str, names: str, written: dict[int, str]) -> None:
    for name, inner in (node.names if names == "kept" else node.durable).items():
        where = os.path.join(path, name)
        if isinstance(inner, Folder):
            os.mkdir(where)
            _write(inner, where, names, written)
        elif id(inner) in written:
            os.link(written[id(inner)], where)
        elif not name.endswith("-shm"):  # SQLite's shared memory is rebuilt from the log after a cut.
            with open(where, "wb") as stream:
                stream.write(inner.durable or b"")
            os.chmod(where, inner.mode)
            written[id(inner)] = where


def _read(path: str, seen: dict[int, File]) -> Folder:
    folder = Folder()
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            folder.names[entry.name] = _read(entry.path, seen)
        elif entry.inode() in seen:
            folder.names[entry.name] = seen[entry.inode()]
        else:
            with open(entry.path, "rb") as stream:
                content = stream.read()
            file = File(bytearray(content), content, entry.stat().st_mode & 0o777)
            folder.names[entry.name] = seen[entry.inode()] = file
    folder.durable = dict(folder.names)
    return folder
