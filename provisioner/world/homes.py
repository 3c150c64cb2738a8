"""The home of the user whose services these are, and programs in it."""

import os
import pwd


def home(*, managed: bool) -> str:
    """As a service sees it: a service manager knows the user's own alone, whatever the caller's environment says."""
    if managed:
        try:
            return pwd.getpwuid(os.geteuid()).pw_dir
        except KeyError:
            pass
    return os.path.expanduser("~")


def runs(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
