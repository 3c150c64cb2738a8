"""The state folder: a database of releases and runs, a lock that dies with its holder, and what lies beside them."""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing as _closing
from contextlib import contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from provisioner.documents import decode, encode
from provisioner.errors import Refused, RunFailed
from provisioner.model.learned import Kind, Residual
from provisioner.model.plan import Finding
from provisioner.model.release import HistoryEntry
from provisioner.world import files

if TYPE_CHECKING:  # Only who measures, or shows what was measured, needs them.
    from provisioner.model.baseline import Baseline

SCHEMA = 5
FOLDERS = ("releases", "blobs", "models", "secrets", "logs", "data", "snapshots", "live")
LEAST_BYTES = 256 << 10
"""Room that SQLite takes beside a database as soon as it is opened: an index of 32 KiB, and a journal."""
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
KEPT_RESIDUALS = 20
"""Of each kind: engines, drivers and habits change, and what was measured long ago is forgotten."""
KEPT_BASELINES = 5
"""Of each release."""


class Store:
    """One state folder. Reading needs no lock; every change is made under `locked`."""

    def __init__(self, folder: str, database: sqlite3.Connection) -> None:
        self.folder = folder
        self.database = database

    def _rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with _mended(self.folder):
            return self.database.execute(query, values).fetchall()

    def _write(self, query: str, *values: object) -> int:
        with _mended(self.folder), self.database:
            return int(self.database.execute(query, values).lastrowid or 0)

    def _version(self) -> int:
        """Of a state that is only read, and may be older than this program."""
        return int(cast(int, self._rows("PRAGMA user_version")[0][0]))

    def current(self) -> str | None:
        """The digest of the release in force."""
        rows = self._rows("SELECT digest FROM current")
        return cast(str | None, rows[0][0]) if rows else None

    def begin(self, verb: str, release: str | None, previous: str | None) -> int:
        """Open a run in the journal before anything is done."""
        return self._write(
            "INSERT INTO runs (verb, started, pid, release, previous, outcome) VALUES (?, ?, ?, ?, ?, 'running')",
            verb, int(time.time()), os.getpid(), release, previous,
        )  # fmt: skip

    def aim(self, run: int, release: str | None) -> None:
        """Note which release a run turned out to be for: the plan is complete only when its weights are here."""
        self._write("UPDATE runs SET release = ? WHERE run = ?", release, run)

    def note(self, run: int, step: int, action: str, result: str, seconds: float | None = None) -> None:
        """One step, before it is done (`doing`) and after."""
        self._write("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?)", run, step, action, result, seconds)

    def activate(self, digest: str | None) -> None:
        """Put a release in force."""
        self._write("UPDATE current SET digest = ?", digest)

    def finish(self, run: int, outcome: str, findings: tuple[Finding, ...] = ()) -> None:
        """Close a run."""
        self._write(
            "UPDATE runs SET ended = ?, outcome = ?, findings = ? WHERE run = ?",
            int(time.time()), outcome, json.dumps(encode(findings)), run,
        )  # fmt: skip

    def interrupted(self) -> tuple[HistoryEntry, ...]:
        """Runs that never ended: their process died, for the lock is ours now."""
        return tuple(entry for entry in self.history() if entry.outcome == "running")

    def last_step(self, run: int) -> str:
        """What a run was doing when it was last heard of."""
        rows = self._rows("SELECT action, result FROM steps WHERE run = ? ORDER BY step DESC LIMIT 1", run)
        return f"{rows[0][0]} ({rows[0][1]})" if rows else "nothing yet"

    def steps(self, run: int) -> tuple[tuple[str, str, float | None], ...]:
        """The receipt of one run."""
        rows = self._rows("SELECT action, result, seconds FROM steps WHERE run = ? ORDER BY step", run)
        return tuple(cast(tuple[str, str, float | None], row) for row in rows)

    def history(self, limit: int = 1000) -> tuple[HistoryEntry, ...]:
        """Runs, the newest first."""
        rows = self._rows(
            "SELECT run, verb, started, ended, release, previous, outcome, findings FROM runs ORDER BY run DESC LIMIT ?",
            limit,
        )
        try:
            return tuple(_entry(row) for row in rows)
        except ValueError as error:
            raise _damaged(self.folder, str(error)) from error

    def unsettled(self) -> tuple[HistoryEntry, ...]:
        """Runs since the last one that ended well, or that put back what was there before; the newest first."""
        return tuple(takewhile(lambda entry: entry.outcome not in ("good", "rolled-back"), self.history()))

    def good_releases(self) -> tuple[str, ...]:
        """Digests that were proved to answer, the newest first, each once."""
        proved = [entry.release for entry in self.history() if entry.outcome == "good" and entry.release]
        return tuple(dict.fromkeys(proved))

    def known_hash(self, device: int, inode: int, size: int, mtime_ns: int) -> str | None:
        """The hash of a file that was read before and has not changed since."""
        rows = self._rows(
            "SELECT sha256 FROM hashes WHERE device = ? AND inode = ? AND size = ? AND mtime_ns = ?",
            device, inode, size, mtime_ns,
        )  # fmt: skip
        return str(rows[0][0]) if rows else None

    def verified(self, path: str) -> str | None:
        """The hash of a file that was read before and has not changed since, by its name."""
        status = os.stat(path)
        return self.known_hash(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    def stored(self) -> dict[str, int]:
        """The blobs that still are what they were when they were hashed, each with its inode: one look at each.

        A blob may be a second name for a file of the operator's, who may change it. The device is not compared: its
        number changes with a restart, and a folder lies on one.
        """
        known = set(self._rows("SELECT inode, size, mtime_ns, sha256 FROM hashes"))
        try:
            found = [(entry.name, entry.stat()) for entry in os.scandir(os.path.join(self.folder, "blobs", "sha256"))]
        except FileNotFoundError:
            return {}
        return {
            name: status.st_ino
            for name, status in sorted(found, key=lambda pair: pair[0])
            if (status.st_ino, status.st_size, status.st_mtime_ns, name) in known
        }

    def remember_hash(self, path: str, sha256: str) -> None:
        """So that no file is hashed twice."""
        self.remember_status(os.stat(path), sha256)

    def remember_status(self, status: os.stat_result, sha256: str) -> None:
        """The same of a file that was looked at while it was hashed; by now its name may be that of another."""
        self._write(
            "INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?)",
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, sha256,
        )  # fmt: skip

    def offers(self) -> dict[str, tuple[int, str]]:
        """What hubs said of their files when they were asked: size and hash, by origin."""
        rows = self._rows("SELECT origin, size, sha256 FROM offers")
        return {str(origin): (cast(int, size), str(sha256)) for origin, size, sha256 in rows}

    def remember_offer(self, origin: str, size: int, sha256: str) -> None:
        """So that what was downloaded is known again without a network."""
        self._write("INSERT OR REPLACE INTO offers VALUES (?, ?, ?)", origin, size, sha256)

    def remember_offers(self, offers: Mapping[str, tuple[int, str]]) -> None:
        """All of a repository or none."""
        with _mended(self.folder), self.database:
            rows = [(origin, size, sha256) for origin, (size, sha256) in offers.items()]
            self.database.executemany("INSERT OR REPLACE INTO offers VALUES (?, ?, ?)", rows)

    def origins(self) -> dict[str, str]:
        """Where each blob came from."""
        return dict(cast(list[tuple[str, str]], self._rows("SELECT * FROM origins"))) if self._version() >= 3 else {}

    def remember_origin(self, sha256: str, origin: str) -> None:
        """The first place that it came from; what is in the store comes from there ever after."""
        self._write("INSERT OR IGNORE INTO origins VALUES (?, ?)", sha256, origin)

    def merged(self) -> dict[str, str]:
        """What was made of the parts of a model: the hash of the whole, by what they are known by together."""
        return dict(cast(list[tuple[str, str]], self._rows("SELECT * FROM merged"))) if self._version() >= 5 else {}

    def remember_merged(self, parts: str, sha256: str) -> None:
        self._write("INSERT OR REPLACE INTO merged VALUES (?, ?)", parts, sha256)

    def labels(self) -> dict[str, tuple[str, str, str]]:
        """Id, title and precision of the model in each folder of `models/`."""
        rows = self._rows("SELECT folder, id, title, precision FROM labels") if self._version() >= 3 else []
        return {str(folder): (str(model), str(title), str(precision)) for folder, model, title, precision in rows}

    def remember_label(self, folder: str, model: str, title: str, precision: str) -> None:
        self._write("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", folder, model, title, precision)

    def forget_hash(self, sha256: str) -> None:
        """What was found to be damaged is not in the store any more, whatever its size and time say."""
        self._write("DELETE FROM hashes WHERE sha256 = ?", sha256)

    def residuals(self) -> tuple[Residual, ...]:
        """What starts on this machine measured, the oldest first; nothing in a state that is older than the table."""
        if self._version() < 2:
            return ()
        rows = self._rows(
            "SELECT engine, version, architecture, device, tensor, component, planned_bytes, measured_bytes"
            " FROM residuals ORDER BY number"
        )
        return tuple(Residual(Kind(*row[:6]), *row[6:]) for row in cast(list[tuple[Any, ...]], rows))

    def remember_residuals(self, found: tuple[Residual, ...]) -> None:
        """All of one start or none; of each kind the newest stay."""
        with _mended(self.folder), self.database:
            for one in found:
                kind = one.kind
                key = (kind.engine, kind.version, kind.architecture, kind.device, kind.tensor, kind.component)
                self.database.execute(
                    "INSERT INTO residuals (measured, engine, version, architecture, device, tensor, component,"
                    " planned_bytes, measured_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (int(time.time()), *key, one.planned_bytes, one.measured_bytes),
                )
                self.database.execute(
                    "DELETE FROM residuals WHERE number IN (SELECT number FROM residuals WHERE engine = ? AND version = ?"
                    " AND architecture = ? AND device = ? AND tensor = ? AND component = ?"
                    " ORDER BY number DESC LIMIT -1 OFFSET ?)",
                    (*key, KEPT_RESIDUALS),
                )

    def baseline(self, release: str, model: str, engine: str) -> "Baseline | None":
        """What was measured last of a release; None where it never was, or by a state older than the table."""
        if self._version() < 4:
            return None
        rows = self._rows(
            "SELECT measured, quick, speed FROM baselines WHERE release = ? AND model = ? AND engine = ?"
            " ORDER BY number DESC LIMIT 1",
            release, model, engine,
        )  # fmt: skip
        if not rows:
            return None
        from provisioner.model.baseline import Baseline, Speed

        measured, quick, speed = rows[0]
        found = cast(Speed, decode(Speed, json.loads(str(speed))))
        return Baseline(release, model, engine, cast(int, measured), bool(quick), found)

    def remember_baseline(self, one: "Baseline") -> None:
        """Of each release the newest stay."""
        with _mended(self.folder), self.database:
            self.database.execute(
                "INSERT INTO baselines (measured, release, model, engine, quick, speed) VALUES (?, ?, ?, ?, ?, ?)",
                (one.measured_unix, one.release, one.model, one.engine, one.quick, json.dumps(encode(one.speed))),
            )
            self.database.execute(
                "DELETE FROM baselines WHERE number IN"
                " (SELECT number FROM baselines WHERE release = ? ORDER BY number DESC LIMIT -1 OFFSET ?)",
                (one.release, KEPT_BASELINES),
            )


def _entry(row: tuple[object, ...]) -> HistoryEntry:
    run, verb, started, ended, release, previous, outcome, findings = row
    return cast(
        HistoryEntry,
        decode(
            HistoryEntry,
            {
                "run": run,
                "verb": verb,
                "started_unix": started,
                "ended_unix": ended,
                "release": release,
                "previous": previous,
                "outcome": outcome,
                "findings": json.loads(str(findings)),
            },
        ),
    )


@contextmanager
def reading(folder: str) -> Iterator[Store]:
    """The state as it is, changing nothing; an empty one where nothing was ever set up."""
    with _mended(folder), _closing(_look_into(folder)) as database:
        yield Store(folder, database)


def _look_into(folder: str) -> sqlite3.Connection:
    path = os.path.join(folder, "state.db")
    if os.path.exists(path):
        try:
            readonly = not os.access(folder, os.W_OK) or (_is_full(folder) and _is_settled(path))
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
        with _mended(folder), _closing(_prepare(folder)) as database:
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
        raise _damaged(folder, "it is empty, and there are releases")
    return version


def _open(path: str, *, readonly: bool) -> sqlite3.Connection:
    if readonly:
        return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    database = sqlite3.connect(path, timeout=10.0)
    database.execute("PRAGMA synchronous = FULL")
    return database


@contextmanager
def _mended(folder: str) -> Iterator[None]:
    """What SQLite says about a broken file, as an error that has a remedy."""
    path = os.path.join(folder, "state.db")
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(words in str(error) for words in ("no such", "already exists")):
            raise _damaged(folder, str(error)) from error
        raise _unwritable(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(folder, str(error)) from error


def _damaged(folder: str, reason: str) -> Refused:
    from shlex import quote

    path = os.path.join(folder, "state.db")
    return Refused(
        f"{path}: the state database is damaged: {reason}",
        fix=f"mv {quote(path)} {quote(path + '.broken')}   and then `provision up` as before: what runs is found and kept",
    )


def _is_full(folder: str) -> bool:
    """Whether SQLite finds no room for what it keeps beside a database, even to read it."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < LEAST_BYTES


def _is_settled(path: str) -> bool:
    """Whether all that was ever written is in the database itself, and nothing beside it."""
    beside = f"{path}-wal"
    return not os.path.exists(beside) or os.path.getsize(beside) == 0


def _unwritable(path: str, words: str) -> Refused | RunFailed:
    if "readonly" in words or "unable to open" in words:
        return Refused(
            f"{path}: {words}", fix="run as the owner of that folder (sudo), or choose another with --state-dir"
        )
    fix = "run the same command again; if it stays, look at `dmesg` for disk errors"
    if "full" in words or _is_full(os.path.dirname(path)):
        words = "no space is left on its file system"
        fix = "free some space there (`df -h`), then run the same command again"
    return RunFailed(f"{path}: {words}", fix=fix)


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
