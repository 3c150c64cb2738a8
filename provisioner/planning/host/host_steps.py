"""What this host has to be given before the plan can stand on it. Each step says all its values; the playbooks decide nothing."""

from collections.abc import Iterator, Mapping

from provisioner.model.facts import ContainerEngine, HostFacts, PciDevice, Unknown
from provisioner.model.host import HostStep, HostSteps, HostWish, Value
from provisioner.model.plan import Finding, Plan
from provisioner.model.record import dataclass
from provisioner.model.upkeep import Package, Upkeep, is_driver, version_number
from provisioner.planning.host import firewall, host_packages
from provisioner.planning.host.host_packages import Distribution

CONTAINERS = ("docker", "podman", "lxc", "systemd-nspawn")
TIME_SERVICES = {"chronyd": "chrony", "systemd-timesyncd"[:15]: "systemd-timesyncd"}
OTHER_TIME_SERVICES = frozenset(["ntpd", "ntpsec", "ptp4l", "phc2sys"])
COMPUTES = ("0300", "0302", "0380", "1200")
WITHOUT_PACKAGE = {"19e5": "Huawei Ascend", "1d94": "Hygon", "1d22": "Kunlunxin", "9999": "MetaX"}
"""Makers whose drivers no distribution packages; each has an installer of its own."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the steps are decided by, with the parts that most of them ask for."""

    plan: Plan
    facts: HostFacts
    upkeep: Upkeep
    wish: HostWish
    distribution: Distribution
    architecture: str
    installed: Mapping[str, Package]

    def missing(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name not in self.installed)

    def devices(self, vendor: str) -> tuple[PciDevice, ...]:
        known = () if isinstance(self.facts.pci, Unknown) else self.facts.pci
        return tuple(
            device
            for device in known
            if device.vendor_id.removeprefix("0x") == vendor and device.class_id.removeprefix("0x").startswith(COMPUTES)
        )

    @property
    def driver(self) -> str | None:
        driver = self.facts.software.nvidia_driver
        return driver if isinstance(driver, str) else None

    @property
    def inside(self) -> str | None:
        return None if isinstance(self.facts.host, Unknown) else self.facts.host.virtualization

    @property
    def wants_docker(self) -> bool:
        return self.plan.target == "docker"


def host_steps(plan: Plan, facts: HostFacts, upkeep: Upkeep, wish: HostWish) -> HostSteps:
    """The steps in their order; a host that none of the playbooks knows gets none, and a finding."""
    if isinstance(facts.host, Unknown) or upkeep.packages is None or isinstance(upkeep.packages, Unknown):
        return HostSteps((), (_unknown("its distribution or its packages cannot be read"),))
    distribution = host_packages.distribution_of(facts.host.os)
    architecture = host_packages.ARCHITECTURES.get(facts.host.architecture)
    if distribution is None or architecture is None:
        return HostSteps((), (_unknown(f"it runs {facts.host.os} on {facts.host.architecture}"),))
    installed = {package.name: package for package in upkeep.packages}
    ground = Ground(plan, facts, upkeep, wish, distribution, architecture, installed)
    steps = tuple(step for decide in DECIDED for step in decide(ground))
    sources = tuple(_sources(ground, frozenset(step.role for step in steps)))
    return HostSteps((*_with_sources(sources), *steps), tuple(_left(ground)))


def variables(steps: HostSteps) -> dict[str, object]:
    """What the playbook reads: the roles in their order, and every value of each."""
    values: dict[str, object] = {"host_steps": [step.role for step in steps.steps]}
    for step in steps.steps:
        values |= {name: list(value) if isinstance(value, tuple) else value for name, value in step.values.items()}
    return values


def _unknown(why: str) -> Finding:
    names = ", ".join(host_packages.KNOWN)
    return Finding(
        "host",
        "error",
        f"this host is not one that the playbooks know: {why}",
        fix=f"prepare it by hand; known are {names}",
    )


def _packages(
    role: str, title: str, because: str, names: tuple[str, ...], missing: tuple[str, ...], **more: Value
) -> HostStep:
    values: dict[str, Value] = {f"{role}_packages": names, f"{role}_missing": missing}
    return HostStep(role, title, because, values | {f"{role}_{name}": value for name, value in more.items()})


def _sources(ground: Ground, roles: frozenset[str]) -> Iterator[Mapping[str, str]]:
    if "container_engine" in roles and _docker_of(ground) == "docker":
        yield host_packages.docker_source(ground.distribution, ground.architecture)
    if ground.distribution.family == "debian" and roles & {"nvidia_driver", "vendor_driver"}:
        yield host_packages.non_free_source(ground.distribution, ground.architecture)
    if "container_toolkit" in roles:
        yield host_packages.toolkit_source(ground.architecture)


def _with_sources(sources: tuple[Mapping[str, str], ...]) -> Iterator[HostStep]:
    if sources:
        names = ", ".join(source["name"].removeprefix("provision-") for source in sources)
        yield HostStep("package_sources", f"package sources: {names}", "the distribution lacks what the other steps install", {"package_sources_list": sources})  # fmt: skip


def _docker_of(ground: Ground) -> str:
    """What is installed stays; else what was asked for; else the one that has Compose."""
    if "docker-ce" in ground.installed:
        return "docker"
    if "docker.io" in ground.installed:
        return "distribution"
    return ground.wish.docker_from or ("distribution" if ground.distribution.compose else "docker")


def _engine(ground: Ground) -> Iterator[HostStep]:
    by_hand = isinstance(ground.facts.software.docker, ContainerEngine) and not {"docker-ce", "docker.io"} & set(
        ground.installed
    )
    if not ground.wants_docker or by_hand:
        return
    own = _docker_of(ground) == "docker"
    compose = (ground.distribution.compose,) if ground.distribution.compose else ()
    names = host_packages.DOCKERS_OWN if own else ("docker.io", *compose)
    title = f"Docker Engine from {'its own repository' if own else 'the distribution'}"
    yield _packages("container_engine", title, "the plan's target is docker", names, ground.missing(names))


def _nvidia(ground: Ground) -> Iterator[HostStep]:
    cards = ground.devices("10de")
    if not cards or ground.driver or ground.inside in CONTAINERS or isinstance(ground.facts.host, Unknown):
        return
    open_modules = all(int(card.device_id, 16) >= host_packages.OLDEST_OPEN for card in cards)
    switches = 0 if isinstance(ground.upkeep.switches, Unknown) else ground.upkeep.switches
    kernel = ground.facts.host.kernel
    names = host_packages.nvidia_driver(ground.distribution, kernel, ground.architecture, open_modules, switches)
    because = f"{len(cards)} NVIDIA cards are on the bus, and no driver is loaded"
    yield _packages("nvidia_driver", "NVIDIA's driver", because, names, ground.missing(names))


def _amd(ground: Ground) -> Iterator[HostStep]:
    if ground.devices("1002") and ground.inside not in CONTAINERS:
        names = host_packages.amd_driver(ground.distribution)
        yield _packages(
            "vendor_driver", "firmware of AMD's cards", "AMD cards are on the bus", names, ground.missing(names)
        )


def _toolkit(ground: Ground) -> Iterator[HostStep]:
    if not ground.wants_docker or not (ground.driver or ground.devices("10de")):
        return
    name, least = "nvidia-container-toolkit", host_packages.TOOLKIT_LEAST
    there = ground.installed.get(name)
    old = there is None or version_number(there.upstream) < version_number(least)
    yield _packages(
        "container_toolkit", f"NVIDIA's container toolkit, {least} or newer", "containers are to use NVIDIA's cards",
        (f"{name}>={least}",), (f"{name}>={least}",) if old else (),
        runtime=True, interface="/etc/cdi/nvidia.yaml" if ground.driver else "", links_rule=host_packages.RULE,
    )  # fmt: skip


def _persistence(ground: Ground) -> Iterator[HostStep]:
    there = any(name == "nvidia-persistenced" or name.startswith("nvidia-compute-utils-") for name in ground.installed)
    if ground.driver and there and ground.inside not in CONTAINERS:
        values: dict[str, Value] = {"persistence_mode_service": "nvidia-persistenced.service"}
        yield HostStep("persistence_mode", "persistence mode", "each start would wait for the driver", values)


def _holds(ground: Ground) -> Iterator[HostStep]:
    names = tuple(sorted(name for name in ground.installed if is_driver(name)))
    if names:
        because = "an upgrade that nobody asked for replaces the files below the loaded module"
        yield HostStep("package_holds", "driver packages on hold", because, {"package_holds_names": names})


def _kernel(ground: Ground) -> Iterator[HostStep]:
    """https://github.com/ggml-org/llama.cpp: `ggml_numa_init` warns of this setting where a host has several nodes."""
    nodes = () if isinstance(ground.facts.numa, Unknown) else ground.facts.numa
    if ground.plan.engine != "llamacpp" or len(nodes) < 2 or ground.inside in CONTAINERS:
        return
    content = "# made by provision: the engine places its memory itself\nkernel.numa_balancing = 0\n"
    because = f"llama.cpp on {len(nodes)} NUMA nodes: pages that move while it computes make it slow"
    yield HostStep("kernel_settings", "no automatic NUMA balancing", because, {"kernel_settings_content": content})


def _time(ground: Ground) -> Iterator[HostStep]:
    running = frozenset() if isinstance(ground.upkeep.programs, Unknown) else ground.upkeep.programs
    servers, inside = ground.wish.time_servers, ground.inside in CONTAINERS
    keeper = next((name for process, name in TIME_SERVICES.items() if process in running), None)
    kept = keeper is not None or inside or ground.facts.software.clock_synchronised is True
    if OTHER_TIME_SERVICES & running or (kept and not servers):
        return
    there = next((name for name in TIME_SERVICES.values() if name in ground.installed), None)
    unit = keeper or there or "systemd-timesyncd"
    if unit == "chrony":
        path, content = "/etc/chrony/sources.d/provision.sources", "".join(f"server {one} iburst\n" for one in servers)
    else:
        path, content = "/etc/systemd/timesyncd.conf.d/60-provision.conf", f"[Time]\nNTP={' '.join(servers)}\n"
    because = f"the clock is to follow {', '.join(servers)}" if servers else "no program keeps the clock in step"
    yield _packages(
        "time_service", f"time service {unit}", because, (unit,), ground.missing((unit,)),
        unit=f"{unit}.service", path=path, content=content if servers else "", started=not inside,
    )  # fmt: skip


def _firewall(ground: Ground) -> Iterator[HostStep]:
    ports = published(ground.plan, ground.wish)
    if not ground.wish.allow or not ports:
        return
    listed = ", ".join(map(str, ports))
    yield _packages(
        "firewall", f"firewall: {'ports' if len(ports) > 1 else 'port'} {listed}",
        f"published for {', '.join(ground.wish.allow)} alone", ("nftables",), ground.missing(("nftables",)),
        ruleset=firewall.ruleset(ports, ground.wish.allow), unit=firewall.UNIT,
    )  # fmt: skip


def published(plan: Plan, wish: HostWish) -> tuple[int, ...]:
    """Ports that others than this host may reach: of services, and of what stands beside them."""
    own = {service.port for service in plan.services if not service.host.startswith(("127.", "::1", "localhost"))}
    beside = {one.port for each in plan.beside for one in each.published if not one.host.startswith(("127.", "::1"))}
    return tuple(sorted({*own, *beside, *wish.ports}))


def _left(ground: Ground) -> Iterator[Finding]:
    """What is wanted and cannot be done by a package."""
    for vendor, name in WITHOUT_PACKAGE.items():
        cards = ground.devices(vendor)
        if any(card.driver is None for card in cards):
            told = f"{len(cards)} {name} devices have no driver, and no distribution packages one"
            yield Finding(
                "host", "warning", told, fix="install it with the maker's own program, then `provision detect`"
            )
    if ground.devices("10de") and not ground.driver and any(is_driver(name) for name in ground.installed):
        yield Finding(
            "host",
            "warning",
            "NVIDIA's driver is installed and not loaded",
            fix="`systemctl reboot`, then `provision prepare`",
        )


DECIDED = (_engine, _nvidia, _amd, _toolkit, _persistence, _holds, _kernel, _time, _firewall)
