"""What services keep, as it was at one moment: databases by their own backup, files that never change by a second name."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import quote

from provisioner.errors import RunFailed
from provisioner.world import files

MAGIC = b"SQLite format 3\x00"
"""The first bytes of each database (https://sqlite.org/fileformat.html)."""
BESIDES = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database: the backup has all of it in one file."""
WRITTEN_ONCE = ("uploads",)
"""Folders whose files get their content once and a name of their own (`{id}_{filename}`, open-webui v0.12.4,
backend/open_webui/routers/files.py), so that a second name for them is as good as a copy."""
LEFT_OUT = ("cache",)
"""What is made again when it is missing."""
BUSY_SECONDS = 30.0
MIGRATIONS = ("alembic_version", "migratehistory")
"""Tables in which a service notes the form of its database."""


def take(data: str, names: tuple[str, ...], folder: str) -> None:
    """Copy these folders of `data`, whole or not at all: the copy gets its name last, instead of an older one."""
    beside = f"{folder}.new.tmp"
    files.remove_tree(beside)
    files.make_folder(os.path.dirname(folder), 0o700)
    os.mkdir(beside, 0o700)
    for name in names:
        os.mkdir(f"{beside}/{name}", 0o700)
        for path in contents(f"{data}/{name}"):
            _take(f"{data}/{name}/{path}", f"{beside}/{name}/{path}", path)
    files.sync_folders(beside)
    files.remove_tree(folder)
    os.rename(beside, folder)
    files.sync_folder(os.path.dirname(folder))


def restore(folder: str, data: str, names: tuple[str, ...]) -> None:
    """Give these folders the content that they had: each database in one transaction; files that came since stay."""
    for name in names:
        for path in contents(f"{folder}/{name}"):
            _restore(f"{folder}/{name}/{path}", f"{data}/{name}/{path}", path)
        files.sync_folders(f"{data}/{name}")


def differing(folder: str, data: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these have a database whose form is another one now: a release from before cannot be trusted to read it."""
    return tuple(name for name in names if any(_differ(f"{folder}/{name}", f"{data}/{name}")))


def _differ(then: str, now: str) -> Iterator[bool]:
    for path in contents(then):
        if _is_database(f"{then}/{path}"):
            yield _form(f"{then}/{path}", immutable=True) != _form(f"{now}/{path}")


def contents(folder: str, below: str = "") -> list[str]:
    """Every file that is kept, by its path in the folder; links and sockets are nobody's data."""
    found = []
    for entry in sorted(os.scandir(os.path.join(folder, below)), key=lambda entry: entry.name):
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            found += [] if path in LEFT_OUT else contents(folder, path)
        elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(BESIDES):
            found.append(path)
    return found


def _take(source: str, copy: str, path: str) -> None:
    files.make_folder(os.path.dirname(copy), 0o700, durable=False)
    if _is_database(source):
        _backup(source, copy)
        _settle(source, copy)
    elif path.partition("/")[0] not in WRITTEN_ONCE or not _link(source, copy):
        shutil.copyfile(source, copy)
        _settle(source, copy)


def _restore(source: str, place: str, path: str) -> None:
    files.make_folder(os.path.dirname(place), 0o700)
    if _is_database(source) and os.path.exists(place) and _is_database(place):
        _backup(source, place, immutable=True)
    elif path.partition("/")[0] in WRITTEN_ONCE:
        if not os.path.exists(place) and not _link(source, place):
            _exchange(source, place)
    else:
        for end in BESIDES:
            files.remove_file(place + end)
        _exchange(source, place)


def _exchange(source: str, place: str) -> None:
    beside = f"{place}.tmp"
    shutil.copyfile(source, beside)
    _settle(source, beside)
    os.replace(beside, place)


def _settle(source: str, copy: str) -> None:
    """The mode and times of the source, and all bytes on the disk."""
    shutil.copystat(source, copy)
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _link(source: str, name: str) -> bool:
    try:
        os.link(source, name)
    except OSError:
        return False
    return True


def _is_database(path: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return stream.read(len(MAGIC)) == MAGIC
    except FileNotFoundError:
        return False


def _backup(source: str, copy: str, *, immutable: bool = False) -> None:
    """All of a database as it is at one moment, while others read and write it; what is there of `copy` is replaced."""
    try:
        with closing(_connect(source, immutable=immutable)) as old, closing(sqlite3.connect(copy, BUSY_SECONDS)) as new:
            old.backup(new)
    except sqlite3.OperationalError as error:
        fix = "free some space there (`df -h`)" if "full" in str(error) else "the same command again"
        raise RunFailed(f"{source}: the database cannot be copied: {error}", fix=fix) from error
    except sqlite3.DatabaseError:
        # It is broken: its bytes are all that there is to be kept.
        for end in BESIDES:
            files.remove_file(copy + end)
        shutil.copyfile(source, copy)


def _connect(path: str, *, immutable: bool) -> sqlite3.Connection:
    how = "mode=ro&immutable=1" if immutable else "mode=rw"
    return sqlite3.connect(f"file:{quote(path)}?{how}", BUSY_SECONDS, uri=True)


def _form(path: str, *, immutable: bool = False) -> tuple[object, ...]:
    """The tables of a database, and what its service noted of their version; nothing of one that cannot be read."""
    try:
        with closing(_connect(path, immutable=immutable)) as database:
            tables = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()
            noted = [name for _, name, _ in tables if name in MIGRATIONS]
            versions = [database.execute(f"SELECT * FROM {name}").fetchall() for name in noted]  # noqa: S608 - of two known names
    except sqlite3.DatabaseError:
        return ()
    return (*tables, *versions)
