"""The driver stays loaded between users of a card: without persistence mode each start waits for it."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "persistence_mode"


def run(view: View) -> Iterator[Finding]:
    used = {uuid for service in view.plan.services for uuid in service.devices}
    for found in view.facts.accelerators.values():
        for card in () if isinstance(found, Unknown) else found:
            if card.persistence is False:
                level = "warning" if card.uuid in used else "note"
                told = f"{card.vendor}:{card.index} ({card.name}): persistence mode is off, each start waits for the driver"
                yield Finding(NAME, level, told, fix="`systemctl enable --now nvidia-persistenced`")


CHECK = Check(name=NAME, stage="before", run=run)
