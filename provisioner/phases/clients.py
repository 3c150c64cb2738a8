"""What a client of the release in force has to be told: its plan, and a key that the person who asks hands over."""

import os
import sys

from provisioner.errors import BadInput, Refused
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place
from provisioner.phases.survey import load_plan
from provisioner.world.database import reading

LONGEST_KEY = 4096
STDIN = "-"


def plan_in_force(place: Place) -> Plan:
    with reading(place.state) as store:
        digest = store.current()
    if digest is None:
        raise Refused(f"{place.state}: nothing is in force here, so there is no address to give", fix="provision up")
    return load_plan(place, digest)


def key_given(path: str) -> str:
    """A key out of a file, or from standard input; what is no key is refused before it gets into a setting."""
    named = "standard input" if path == STDIN else path
    try:
        # Standard input stays open: it is not ours.
        with open(sys.stdin.fileno() if path == STDIN else path, encoding="utf-8", closefd=path != STDIN) as stream:
            key = stream.read(LONGEST_KEY + 1).strip()
    except OSError as error:
        raise BadInput(
            f"{named}: {os.strerror(error.errno or 0)}", fix="--key-file FILE, or `-` for standard input"
        ) from None
    except UnicodeDecodeError:
        key = ""
    if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
        raise BadInput(
            f"{named}: this is no key", fix="one line of letters without spaces, as `provision key` shows it"
        )
    return key


def insist_on_key(place: Place, name: str) -> None:
    """Whoever names a key that is not there has mistyped it."""
    from provisioner.phases import keys

    known = [key.name for key in keys.listed(place)]
    if name not in known:
        raise BadInput(
            f"{name[:80]}: there is no key of this name",
            fix=f"provision key create {name}" if keys.NAME.fullmatch(name) else "provision key list",
        )
