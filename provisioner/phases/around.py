"""What else is on this machine that a plan has to be held against: who listens on its ports, and which programs are not installed."""

from collections.abc import Iterator
from typing import cast

from provisioner import catalog
from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Engine
from provisioner.model.release import Running

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, never bound
"""Addresses that take the port at every other one as well."""
LOCALHOST = ("127.0.0.1", "::1")


def not_installed(plan: Plan) -> Iterator[Finding]:
    """Engines whose programs somebody has to install beforehand, for the user whose services these are."""
    engines = {name: _engine(name) for name in dict.fromkeys(one.engine for one in plan.services)}
    wanted = [one for one in engines.values() if one.installed_at]
    if not wanted:
        return
    from provisioner.world.homes import home, runs  # Few engines are installed by somebody else.

    folder = home(managed=plan.target == "systemd")
    for engine in wanted:
        path = f"{folder}/{engine.installed_at}"
        if not runs(path):
            told = f"{engine.title} is not installed for this user: there is no {path}"
            yield Finding("program-there", "error", told, fix=engine.install)


def _engine(name: str) -> Engine:
    return cast(Engine, catalog.find("provisioner.engines", "ENGINE", name))


def ports_taken(plan: Plan, ours: tuple[Running, ...]) -> dict[int, str]:
    """Which of the plan's ports somebody else listens on, at the address that the service wants."""
    from provisioner.world import processes

    listening = processes.listeners()
    taken = {}
    published = {port for one in ours for port in one.ports if one.pid}
    published |= _of_daemons(plan, ours)
    for host, wanted in _wanted_ports(plan):
        inodes = {
            inode for (address, port), held in listening.items()
            if port == wanted and _collide(address, host) for inode in held
        }  # fmt: skip
        owners = [processes.port_owner(inode) for inode in sorted(inodes)] if wanted not in published else []
        others = [owner for owner in owners if owner is None or not processes.belongs(owner[0], ours)]
        if others:
            known = next((owner for owner in others if owner), None)
            taken[wanted] = f"{known[1]} (process {known[0]})" if known else "a process of another user"
    return taken


def _of_daemons(plan: Plan, ours: tuple[Running, ...]) -> set[int]:
    """Ports of services that run now and whose engine has a daemon: what listens there is no child of their keepers."""
    there = {one.service for one in ours if one.pid}
    return {one.port for one in plan.services if one.name in there and _engine(one.engine).one_server}


def _wanted_ports(plan: Plan) -> tuple[tuple[str, int], ...]:
    """Address and port of everything that this machine would listen on."""
    engines = ((one.host, one.port) for one in plan.services)
    return (*engines, *((port.host, port.port) for one in plan.beside for port in one.published))


def _collide(one: str, other: str) -> bool:
    """Whether who listens at one address keeps a service from the same port of the other, which may be a name."""
    if one in EVERYWHERE:
        return True
    return one in LOCALHOST if other == "localhost" else one == other or other in EVERYWHERE
