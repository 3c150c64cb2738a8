"""The state folder: its database, made, mended and opened; a lock that dies with its holder; and what lies beside them."""

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing as _closing
from contextlib import contextmanager

from provisioner.errors import Refused
from provisioner.world import files
from provisioner.world.mending import damaged, is_full, is_settled, mended
from provisioner.world.store import Store

SCHEMA = 5
FOLDERS = ("releases", "blobs", "models", "secrets", "logs", "data", "snapshots", "live")
TABLES = """
CREATE TABLE current (only INTEGER PRIMARY KEY CHECK (only = 1), digest TEXT);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, verb TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, pid INTEGER NOT NULL,
    release TEXT, previous TEXT, outcome TEXT NOT NULL, findings TEXT NOT NULL DEFAULT '[]');
CREATE TABLE steps (
    run INTEGER NOT NULL REFERENCES runs, step INTEGER NOT NULL, action TEXT NOT NULL, result TEXT NOT NULL,
    seconds REAL, PRIMARY KEY (run, step));
CREATE TABLE hashes (
    device INTEGER, inode INTEGER, size INTEGER, mtime_ns INTEGER, sha256 TEXT NOT NULL,
    PRIMARY KEY (device, inode, size, mtime_ns));
CREATE TABLE offers (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 TEXT NOT NULL);
INSERT INTO current VALUES (1, NULL);
"""
ADDED = {
    2: """
CREATE TABLE residuals (
    number INTEGER PRIMARY KEY, measured INTEGER NOT NULL, engine TEXT NOT NULL, version TEXT NOT NULL,
    architecture TEXT NOT NULL, device TEXT NOT NULL, tensor INTEGER NOT NULL, component TEXT NOT NULL,
    planned_bytes INTEGER NOT NULL, measured_bytes INTEGER NOT NULL);
""",
    3: """
CREATE TABLE origins (sha256 TEXT PRIMARY KEY, origin TEXT NOT NULL);
CREATE TABLE labels (folder TEXT PRIMARY KEY, id TEXT NOT NULL, title TEXT NOT NULL, precision TEXT NOT NULL);
""",
    4: """
CREATE TABLE baselines (
    number INTEGER PRIMARY KEY, measured INTEGER NOT NULL, release TEXT NOT NULL, model TEXT NOT NULL,
    engine TEXT NOT NULL, quick INTEGER NOT NULL, speed TEXT NOT NULL);
""",
    5: """
CREATE TABLE merged (parts TEXT PRIMARY KEY, sha256 TEXT NOT NULL);
""",
}
"""What each later schema added to the tables above."""


@contextmanager
def reading(folder: str) -> Iterator[Store]:
    """The state as it is, changing nothing; an empty one where nothing was ever set up."""
    with mended(folder), _closing(_look_into(folder)) as database:
        yield Store(folder, database)


def _look_into(folder: str) -> sqlite3.Connection:
    path = os.path.join(folder, "state.db")
    if os.path.exists(path):
        try:
            readonly = not os.access(folder, os.W_OK) or (is_full(folder) and is_settled(path))
            database = _open(path, readonly=readonly)
        except PermissionError as error:
            raise files.explain(error, "reading the state") from error
        if _version(database, folder):
            return database
        # The very first run was cut off before its tables were there.
        database.close()
    nothing = sqlite3.connect(":memory:")
    nothing.executescript(_tables(0))
    return nothing


@contextmanager
def locked(folder: str, verb: str, wait_seconds: float = 0.0) -> Iterator[Store]:
    """The state folder, made if it is not there, for one run alone."""
    _refuse_strangers(folder)
    lock = _open_lock(folder, verb, wait_seconds)
    try:
        with mended(folder), _closing(_prepare(folder)) as database:
            yield Store(folder, database)
    except OSError as error:
        raise files.explain(error, f"running `provision {verb}`") from error
    finally:
        os.close(lock)


def is_ours(folder: str) -> bool:
    """Whether this folder was ever used as a state folder; what has the names of our parts elsewhere is somebody else's."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return any(name == "lock" or name.startswith("state.db") for name in names)


def _refuse_strangers(folder: str) -> None:
    strangers = sorted(set(FOLDERS).intersection(os.listdir(folder) if os.path.isdir(folder) else ()))
    if strangers and not is_ours(folder):
        raise Refused(
            f"{folder}: {strangers[0]}/ is there already, and provision did not make it",
            fix="choose another folder with --state-dir",
        )


def _open_lock(folder: str, verb: str, wait_seconds: float) -> int:
    """The lock, ours; a lock file that was removed by a purge while we waited is not the lock any more."""
    path = os.path.join(folder, "lock")
    while True:
        try:
            files.make_folder(folder)
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise files.explain(error, "opening the state folder") from error
        try:
            _take(lock, folder, verb, wait_seconds)
            if os.path.exists(path) and os.path.samestat(os.fstat(lock), os.stat(path)):
                return lock
        except OSError as error:
            os.close(lock)
            raise files.explain(error, "opening the state folder") from error
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _take(lock: int, folder: str, verb: str, wait_seconds: float) -> None:
    # A `status` looks at the lock for an instant; that alone is no reason to refuse.
    deadline = time.monotonic() + max(wait_seconds, 0.3)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Refused(
                    f"{folder}: another run is at work: {holder(folder)}",
                    fix="wait for it to end: the same command with `--wait 600`",
                ) from None
            time.sleep(0.05)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {int(time.time())} {verb}\n".encode(), 0)


def holder(folder: str) -> str:
    """Who holds the lock, as a sentence."""
    try:
        with open(os.path.join(folder, "lock"), encoding="utf-8") as stream:
            pid, since, verb = stream.read().split(maxsplit=2)
    except (OSError, ValueError):
        return "its name is not known"
    stamp = time.strftime("%H:%M:%S", time.localtime(int(since)))
    return f"`provision {verb.strip()}`, process {pid}, since {stamp}"


def _prepare(folder: str) -> sqlite3.Connection:
    path = os.path.join(folder, "state.db")
    fresh = not os.path.exists(path)
    database = _open(path, readonly=False)
    version = 0 if fresh else _version(database, folder)
    database.execute("PRAGMA journal_mode = WAL")
    if version < SCHEMA:
        with database:
            database.executescript(f"BEGIN; {_tables(version)} COMMIT;")
    return database


def _tables(version: int) -> str:
    """What a database of this schema lacks, in one piece: a run that is cut off leaves the one or the other."""
    added = "".join(text for since, text in ADDED.items() if since > version)
    return f"{'' if version else TABLES} {added} PRAGMA user_version = {SCHEMA};"


def _version(database: sqlite3.Connection, folder: str) -> int:
    """The schema that a database has; 0 where its tables were never made, and there is nothing that it could know of."""
    version = int(database.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA:
        raise Refused(
            f"{folder}/state.db: written by a newer version of provision (state {version}, this one knows {SCHEMA})",
            fix="upgrade provision on this machine",
        )
    releases = os.path.join(folder, "releases")
    if version == 0 and os.path.isdir(releases) and os.listdir(releases):
        raise damaged(folder, "it is empty, and there are releases")
    return version


def _open(path: str, *, readonly: bool) -> sqlite3.Connection:
    if readonly:
        return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    database = sqlite3.connect(path, timeout=10.0)
    database.execute("PRAGMA synchronous = FULL")
    return database


def busy(folder: str) -> str | None:
    """Who is at work on this state right now, without disturbing them."""
    try:
        lock = os.open(os.path.join(folder, "lock"), os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return holder(folder)
    finally:
        os.close(lock)
    return None


def purge(store: Store) -> None:
    """The database itself, last of all; the folder goes when nothing of anybody else is in it."""
    store.database.close()
    for name in ("state.db-wal", "state.db-shm", "state.db"):
        files.remove_file(os.path.join(store.folder, name), durable=False)
    for name in FOLDERS:
        try:
            os.rmdir(os.path.join(store.folder, name))
        except OSError:
            continue
    # By the lock a folder is known as ours, so it goes last.
    files.remove_file(os.path.join(store.folder, "lock"), durable=False)
    try:
        os.rmdir(store.folder)
    except OSError:
        files.sync_folder(store.folder)
        return
    files.sync_folder(os.path.dirname(store.folder))
