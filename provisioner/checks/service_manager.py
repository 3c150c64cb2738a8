"""A plan for systemd meets a service manager that takes its units, and keeps them running."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, ServiceManager, View

NAME = "service_manager"
FIX = "`--target process`, which works on every machine"


def run(view: View) -> Iterator[Finding]:
    manager = view.facts.software.systemd
    if view.plan.target != "systemd":
        return
    if manager is None:
        yield Finding(NAME, "error", "systemd does not run this machine", fix=FIX)
    elif isinstance(manager, Unknown):
        yield Finding(NAME, "warning", f"nobody knows whether systemd runs here: {manager.reason}", fix=FIX)
    elif view.service_manager is not None:
        yield from _of_user(view.service_manager)
        yield from _of_folder(view.service_manager, {f"provision-{one.name}.service" for one in view.plan.services})


def _of_user(manager: ServiceManager) -> Iterator[Finding]:
    fix = f"loginctl enable-linger {manager.user}   (as root where it is refused), or {FIX}"
    if not manager.lingers:
        yield Finding(NAME, "error", f"services of {manager.user} would end at the log-out: no lingering", fix=fix)
    elif not manager.answers:
        yield Finding(NAME, "error", f"the systemd of {manager.user} does not run", fix=f"log in again, or {fix}")


def _of_folder(manager: ServiceManager, wanted: set[str]) -> Iterator[Finding]:
    if not manager.writable:
        fix = f"make it writable for {manager.user or 'root'}, or {FIX}"
        yield Finding(NAME, "error", f"{manager.folder}: no unit can be written there", fix=fix)
    for name in sorted({*wanted, "provision.slice"}.intersection(manager.others)):
        path = f"{manager.folder}/{name}"
        fix = f"`provision down --state-dir` the state that {path} names, or move the file away"
        yield Finding(NAME, "error", f"{path} was not made for this state, and is left alone", fix=fix)


CHECK = Check(name=NAME, stage="before", run=run)
