"""The clock is not before the day this program was made, and it is kept in step."""

from collections.abc import Iterator

from provisioner.model.facts import DARWIN, Host, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "clock"
MADE_UNIX = 1_793_491_200
"""1 November 2026: no machine that runs this program can live before it."""
FIX = "`timedatectl set-ntp true`, or `date -s` with the right time"
FIX_ON_MACOS = "`sudo sntp -sS time.apple.com`, or set it in System Settings, General, Date & Time"


def run(view: View) -> Iterator[Finding]:
    software, host = view.facts.software, view.facts.host
    fix = FIX_ON_MACOS if isinstance(host, Host) and host.system == DARWIN else FIX
    if not isinstance(software.clock_unix, Unknown) and software.clock_unix < MADE_UNIX:
        level = "error" if _downloads(view) else "warning"
        yield Finding(NAME, level, "the clock is wrong: it stands before the day this program was made", fix=fix)
    elif software.clock_synchronised is False:
        yield Finding(NAME, "warning", "the clock is not kept in step with any time server", fix=fix)


def _downloads(view: View) -> bool:
    """A download over TLS fails when the clock is wrong: every certificate is then not yet valid."""
    return any(file.origin.startswith("hub:") for file in view.plan.weights)


CHECK = Check(name=NAME, stage="before", run=run)
