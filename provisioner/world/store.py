"""What the state remembers: releases and runs, hashes, where files came from, and what was measured."""

import json
import os
import sqlite3
import time
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from provisioner.documents import decode, encode
from provisioner.model.learned import Kind, Residual
from provisioner.model.plan import Finding
from provisioner.model.release import HistoryEntry
from provisioner.world.mending import damaged, mended

if TYPE_CHECKING:  # Only who measures, or shows what was measured, needs them.
    from provisioner.model.baseline import Baseline

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
        with mended(self.folder):
            return self.database.execute(query, values).fetchall()

    def _write(self, query: str, *values: object) -> int:
        with mended(self.folder), self.database:
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
            raise damaged(self.folder, str(error)) from error

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
        with mended(self.folder), self.database:
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
        with mended(self.folder), self.database:
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
        with mended(self.folder), self.database:
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
