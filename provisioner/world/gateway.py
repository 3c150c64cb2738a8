"""The running gateway, asked through its published port which keys it goes by."""

import json
import time
from collections.abc import Callable
from http.client import HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from provisioner.world.trust import held_against

SECONDS = 3.0
PAUSE = 0.05
SETTLED_SECONDS = 0.3
"""So long every answer is the new one: nginx lets the workers that it replaces take connections for a tenth of a second more."""


def keys_in_force(url: str, authority: str) -> str | None:
    """What the gateway calls its file of keys; None where none answers."""
    address = urlsplit(url)
    try:
        connection = HTTPSConnection(
            address.hostname or "", address.port, timeout=SECONDS, context=held_against(authority)
        )
    except OSError:
        return None
    try:
        connection.request("GET", "/healthz")
        return str(json.loads(connection.getresponse().read())["keys"])
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()


def goes_by(url: str, authority: str, wanted: Callable[[], str], seconds: float) -> bool | None:
    """Whether it takes the keys up within some seconds; None where none answers from the first.

    What is wanted is asked each time: somebody else may have changed the keys since, and that change holds ours.
    """
    now = keys_in_force(url, authority)
    if now is None:
        return None
    deadline, since = time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < deadline:
        if now != wanted():
            since = time.monotonic()
        elif time.monotonic() - since > SETTLED_SECONDS:
            return True
        time.sleep(PAUSE)
        now = keys_in_force(url, authority)
    return False
