"""An engine that somebody has to install beforehand is there, for the user whose services these are."""

from collections.abc import Iterator
from typing import cast

from provisioner.catalog import find
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, Engine, View

NAME = "program_there"


def run(view: View) -> Iterator[Finding]:
    for name, path in view.not_installed.items():
        engine = cast(Engine, find("provisioner.engines", "ENGINE", name))
        told = f"{view.plan.hostname}: {engine.title} is not installed for this user: there is no {path}"
        yield Finding(NAME, "error", told, fix=engine.install)


CHECK = Check(name=NAME, stage="before", run=run)
