"""Keys of people for the gateway: made, listed, taken back. The file is written whole; the gateway looks at it by itself."""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from time import gmtime, strftime, time

from provisioner.errors import BadInput, Refused, RunFailed
from provisioner.model.containers import Container
from provisioner.model.keys import Key, Published
from provisioner.model.plugins import Place
from provisioner.phases.survey import load_plan
from provisioner.services import _gateway_keys as book
from provisioner.services import gateway
from provisioner.world import files
from provisioner.world.database import is_ours, reading

RATE = 120
CONCURRENCY = 8
"""What a key may do when nobody says: requests a minute, and requests open at the same time."""

MOST = 1_000_000
"""Beyond this the arithmetic of nginx's limits overflows."""

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
OWN = "provision"
"""The stack's own key goes by this name in the gateway's log."""

TAKEN_UP_SECONDS = 10.0
DAY = 86400


def create(place: Place, name: str, rate: int | None, concurrency: int | None, days: int | None) -> Published:
    """A new key; nobody can ever read it again."""
    _insist_on_name(name)
    limits = (_limit("--rate", rate, RATE), _limit("--concurrency", concurrency, CONCURRENCY))
    lasts = _limit("--expires", days, 0)
    door = _door(place)
    with _alone(place):
        known = _read(place)
        if any(key.name == name for key in known):
            raise BadInput(
                f"{name}: there is a key of this name already",
                fix=f"another name, or `provision key revoke {name}` first",
            )
        now, secret = int(time()), f"sk-{secrets.token_urlsafe(32)}"
        key = Key(name, sha256(secret.encode()).hexdigest(), now, now + lasts * DAY if lasts else None, *limits)
        _note(place, "create", key)
        files.write_whole(_path(place), book.text((*known, key)), 0o600)
    return Published(key, secret, _taken_up(place, door))


def revoke(place: Place, name: str) -> Published:
    """From the next request on the key is unknown; what is being streamed to it goes on."""
    door = _door(place)
    with _alone(place):
        known = _read(place)
        gone = next((key for key in known if key.name == name), None)
        if gone is None:
            raise _unknown(name, known)
        _note(place, "revoke", gone)
        files.write_whole(_path(place), book.text(key for key in known if key is not gone), 0o600)
    return Published(gone, in_force=_taken_up(place, door))


def listed(place: Place) -> tuple[Key, ...]:
    """Everybody's key, by name."""
    return tuple(sorted(_read(place), key=lambda key: key.name))


def _insist_on_name(name: str) -> None:
    if name == OWN:
        raise BadInput(f"{name}: this is the stack's own key", fix="another name, a person's or a program's")
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name[:80]!r} is no name for a key",
            fix="small letters, digits, `.`, `_` and `-`, 63 at most: `provision key create alice`",
        )


def _limit(option: str, given: int | None, usual: int) -> int:
    if given is None:
        return usual
    if not 1 <= given <= MOST:
        raise BadInput(f"`{option} {given}` is out of range", fix=f"a number from 1 to {MOST}")
    return given


def _unknown(name: str, known: tuple[Key, ...]) -> BadInput:
    from difflib import get_close_matches

    near = get_close_matches(name, [key.name for key in known], n=2, cutoff=0.6)
    fix = f"did you mean {' or '.join(f'`{each}`' for each in near)}?" if near else "`provision key list` shows them"
    return BadInput(f"{name[:80]}: there is no key of this name", fix=fix)


def _door(place: Place) -> Container:
    """The gateway of the release in force; without one a key opens nothing."""
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing was ever set up here", fix="provision up")
    with reading(place.state) as store:
        digest = store.current()
    found = load_plan(place, digest).beside if digest else ()
    door = next((one for one in found if one.kind == gateway.NAME), None)
    if door is None:
        raise Refused(
            f"{place.state}: no gateway is in force here, and keys of people are the gateway's",
            fix="provision up --target docker",
        )
    return door


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One change at a time; the lock is not that of `up`, which may take an hour: a key is taken back at once."""
    folder = gateway.keys_folder(place)
    try:
        files.own_folder(folder)
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise files.explain(error, "opening the folder of keys") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise files.explain(error, "writing the keys") from error
    finally:
        os.close(lock)


def _path(place: Place) -> str:
    return f"{gateway.keys_folder(place)}/keys.conf"


def _read(place: Place) -> tuple[Key, ...]:
    path = _path(place)
    try:
        return book.parse(_content(place))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise files.explain(error, "reading the keys") from error
    except ValueError as error:
        raise Refused(
            f"{path}: {error}",
            fix=f"bring it back from a copy, or remove it: all keys have to be made anew   rm {path}",
        ) from error


def _content(place: Place) -> str:
    with open(_path(place), encoding="utf-8") as stream:
        return stream.read()


def _note(place: Place, did: str, key: Key) -> None:
    """Who did what, for ever after: the keys themselves say nothing of those that are gone."""
    folder = f"{place.state}/logs"
    files.make_folder(folder, 0o700)
    line = {"time": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()), "did": did, "key": key.name, "uid": os.getuid()}
    log = os.open(f"{folder}/keys.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(log, f"{json.dumps(line)}\n".encode())
        os.fsync(log)
    finally:
        os.close(log)


def _taken_up(place: Place, door: Container) -> bool | None:
    """Success is observed: the gateway itself says that it goes by these keys."""
    from provisioner.world.gateway import goes_by

    port = door.published[0]
    url = gateway.url(port.host, port.port)
    found = goes_by(url, gateway.authority(place), lambda: book.digest(_content(place)), TAKEN_UP_SECONDS)
    if found is False:
        raise RunFailed(
            f"the keys are written, and the gateway still goes by others after {TAKEN_UP_SECONDS:.0f} s",
            fix="provision logs gateway   (why it does not read them); starting it again takes them up",
        )
    return found
