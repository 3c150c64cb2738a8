"""Nobody upgrades the driver at night: its files would be replaced below the running module, and the next start of a program fails."""

import re
from collections.abc import Iterator

from provisioner.checks.drift._nvidia import packages
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.upkeep import is_driver

NAME = "driver_upgrades"
MOST_NAMED = 3


def run(view: View) -> Iterator[Finding]:
    upgrades = view.upkeep.upgrades if view.upkeep else None
    if (
        upgrades is None
        or isinstance(upgrades, Unknown)
        or not upgrades.on
        or "unattended-upgrades" not in packages(view)
    ):
        return
    loose = [
        package.name
        for package in packages(view).values()
        if is_driver(package.name)
        and not package.held
        and not any(_covers(pattern, package.name) for pattern in upgrades.spared)
    ]
    if loose:
        more = f" and {len(loose) - MOST_NAMED} more" if len(loose) > MOST_NAMED else ""
        told = f"unattended upgrades are on, and may replace the driver: {', '.join(loose[:MOST_NAMED])}{more}"
        yield Finding(NAME, "warning", told, fix=f"`apt-mark hold {' '.join(loose)}`, or `provision prepare`")


def _covers(pattern: str, name: str) -> bool:
    """As unattended-upgrades does it: a regular expression that matches from the beginning of the name."""
    try:
        return re.match(pattern, name) is not None
    except re.error:
        return False


CHECK = Check(name=NAME, stage="drift", run=run)
