"""What SQLite says of a database in the words of whoever has to mend it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from provisioner.errors import Refused, RunFailed

LEAST_BYTES = 256 << 10
"""Room that SQLite takes beside a database as soon as it is opened: an index of 32 KiB, and a journal."""


@contextmanager
def mended(folder: str) -> Iterator[None]:
    """What SQLite says about a broken file, as an error that has a remedy."""
    path = os.path.join(folder, "state.db")
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(words in str(error) for words in ("no such", "already exists")):
            raise damaged(folder, str(error)) from error
        raise unwritable(path, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise damaged(folder, str(error)) from error


def damaged(folder: str, reason: str) -> Refused:
    from shlex import quote

    path = os.path.join(folder, "state.db")
    return Refused(
        f"{path}: the state database is damaged: {reason}",
        fix=f"mv {quote(path)} {quote(path + '.broken')}   and then `provision up` as before: what runs is found and kept",
    )


def is_full(folder: str) -> bool:
    """Whether SQLite finds no room for what it keeps beside a database, even to read it."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < LEAST_BYTES


def is_settled(path: str) -> bool:
    """Whether all that was ever written is in the database itself, and nothing beside it."""
    beside = f"{path}-wal"
    return not os.path.exists(beside) or os.path.getsize(beside) == 0


def unwritable(path: str, words: str) -> Refused | RunFailed:
    if "readonly" in words or "unable to open" in words:
        return Refused(
            f"{path}: {words}", fix="run as the owner of that folder (sudo), or choose another with --state-dir"
        )
    fix = "run the same command again; if it stays, look at `dmesg` for disk errors"
    if "full" in words or is_full(os.path.dirname(path)):
        words = "no space is left on its file system"
        fix = "free some space there (`df -h`), then run the same command again"
    return RunFailed(f"{path}: {words}", fix=fix)
