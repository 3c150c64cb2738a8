"""The verbs, by families. Here is what they share: where the state lies, and what may be started on it."""

import os
import sys
from collections.abc import Mapping
from typing import cast

from provisioner import catalog
from provisioner.errors import BadInput, Refused
from provisioner.model.plan import Finding
from provisioner.model.plugins import Place, Target
from provisioner.model.progress import Silent

QUIET = Silent()


def place_of(state_dir: str) -> Place:
    """Where things go for whoever runs us."""
    root = os.geteuid() == 0
    home = os.path.abspath(os.path.expanduser("~"))
    return Place(
        state=_usable(state_dir),
        python=sys.executable,
        unit_folder="/etc/systemd/system" if root else os.path.join(home, ".config/systemd/user"),
        user_manager=not root,
        owner=f"{os.geteuid()}:{os.getegid()}",
    )


def _usable(path: str) -> str:
    """The real path of a state folder; one that nobody could have or that we may not look into is refused by all verbs."""
    if any(letter < " " or "\x7f" <= letter <= "\x9f" or "\ud800" <= letter <= "\udfff" for letter in path):
        raise BadInput(f"--state-dir {path!r}: control characters and broken letters", fix="a plain path")
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        real = _to_be_made(real)
    elif not os.path.isdir(real):
        raise BadInput(f"{real}: this is a file, and the state is a folder", fix="another path with --state-dir")
    elif not os.access(real, os.R_OK | os.X_OK):
        raise Refused(f"{real}: this user may not look into it", fix="run as its owner (sudo), or use --state-dir")
    return real


def _to_be_made(path: str) -> str:
    """A path that is not there: because nothing was made yet, and not because it can never be."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return path
    except PermissionError:
        raise Refused(
            f"{path}: this user may not look into it", fix="run as its owner (sudo), or use --state-dir"
        ) from None
    except OSError as error:
        raise BadInput(f"{path[:200]}: {error.strerror}", fix="another path with --state-dir") from None
    return path


def targets() -> Mapping[str, Target]:
    """Every runtime that this release of the program knows."""
    return cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))


def errors(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.level == "error")
