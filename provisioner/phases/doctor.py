"""Look for what drifted apart since the machine was set up. Nothing is changed, and no program is started that `detect` does not start."""

from collections.abc import Iterator, Mapping
from typing import cast

from provisioner import catalog
from provisioner.errors import Refused
from provisioner.facts import (
    automatic_upgrades,
    cgroup_managers,
    device_interfaces,
    device_links,
    docker_configuration,
    driver_libraries,
    image_cuda,
    kernel_modules,
    nvswitch,
    packages,
    programs,
)
from provisioner.model.containers import CertificateSeen
from provisioner.model.facts import HostFacts, Machine, Unknown
from provisioner.model.plan import Finding, Parallel, Plan
from provisioner.model.plugins import Check, Place, Vendor, View
from provisioner.model.record import fields, replace
from provisioner.model.upkeep import Examined, NotLooked, Upkeep
from provisioner.phases.gather import Asked, gather
from provisioner.phases.judge import judge
from provisioner.phases.observe import certificates_of

ALSO = ("clock", "device_health", "driver_present", "persistence_mode")
"""Rules that hold before anything is done, and as long as the machine runs."""
UNNAMED = "this machine"
NO_PLAN = Plan("", "", "", None, None, None, Parallel(), 0, None, None, (), (), "", (), ())


def examine_here(release: str | None, place: Place) -> Examined:
    """This machine; a release whose plan cannot be read is a finding among the others."""
    from provisioner.phases.survey import load_plan
    from provisioner.world.machine import ThisMachine

    try:
        plan = load_plan(place, release) if release else None
    except Refused as error:
        examined = examine(ThisMachine(), None, release, place.state)
        damaged = Finding("release", "error", error.message, fix=error.fix)
        return replace(examined, findings=(damaged, *examined.findings))
    return examine(ThisMachine(), plan, release, place.state, certificates_of(plan))


def examine(
    machine: Machine,
    plan: Plan | None,
    release: str | None,
    state: str,
    certificates: tuple[CertificateSeen, ...] = (),
) -> Examined:
    """Every finding about a machine; `plan` is that of the release in force, if there is one."""
    vendors = cast(Mapping[str, Vendor], catalog.scan("provisioner.accelerators", "VENDOR"))
    facts = gather(machine, vendors)
    images = tuple(sorted({service.image for service in plan.services if service.image})) if plan else ()
    upkeep = upkeep_of(machine, images)
    view = View(plan or NO_PLAN, facts, None, {}, state, upkeep=upkeep, certificates=certificates)
    found = (*_also(view), *judge("drift", view))
    hostname = UNNAMED if isinstance(facts.host, Unknown) else facts.host.hostname
    return Examined(hostname, release, tuple(found), tuple(_not_looked(facts, upkeep, certificates)))


def upkeep_of(machine: Machine, images: tuple[str, ...]) -> Upkeep:
    """The facts that only these rules need."""
    asked = Asked(machine)
    return Upkeep(
        packages=asked.about(packages.FACT),
        libraries=asked.about(driver_libraries.FACT),
        docker_configuration=asked.about(docker_configuration.FACT),
        interfaces=asked.about(device_interfaces.FACT),
        upgrades=asked.about(automatic_upgrades.FACT),
        switches=asked.about(nvswitch.FACT),
        programs=asked.about(programs.FACT),
        kernels=asked.about(kernel_modules.FACT),
        kubelet_cgroups=asked.about(cgroup_managers.KUBELET),
        containerd_cgroups=asked.about(cgroup_managers.CONTAINERD),
        device_links=asked.about(device_links.FACT),
        images=asked.about(image_cuda.needs(images)) if images else {},
    )


def _also(view: View) -> Iterator[Finding]:
    for name in ALSO:
        yield from cast(Check, catalog.find("provisioner.checks", "CHECK", name)).run(view)


def _not_looked(facts: HostFacts, upkeep: Upkeep, certificates: tuple[CertificateSeen, ...]) -> Iterator[NotLooked]:
    """What a rule would have needed and nobody could tell: silence about it is no clean bill."""
    asked = {
        "docker": facts.software.docker,
        "filesystems": facts.filesystems,
        **{field.name: getattr(upkeep, field.name) for field in fields(upkeep)},
    }
    for name, value in asked.items():
        if isinstance(value, Unknown):
            yield NotLooked(name, value.reason)
    for one in certificates:
        if isinstance(one.left_seconds, Unknown):
            yield NotLooked("certificate", one.left_seconds.reason)
    if upkeep.packages is None:
        yield NotLooked("packages", "only Debian's package database is read, and there is none")
