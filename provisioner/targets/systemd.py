"""systemd: a unit for each service in a slice of our own, under the system's manager or the user's."""

import re

from provisioner.model.actions import Action, RemoveFile, RunTool, WriteFile
from provisioner.model.plan import Plan, Service
from provisioner.model.plugins import Place, Target
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.rendering import HERE, UNITS, command_word, part_of, parts_of, setting_word, unit_file
from provisioner.world.templates import fill

NAME = "systemd"
SLICE = "provision.slice"
FOLDER = re.compile("/releases/[0-9a-f]{64}/")


def files(plan: Plan, place: Place) -> tuple[ReleaseFile, ...]:
    units = tuple(unit_file(service, place, service_text(service, place, "")) for service in plan.services)
    services = tuple(
        ReleaseFile(f"{UNITS}{unit_name(service.name)}", service_text(service, place, part_of(unit.content)))
        for service, unit in zip(plan.services, units, strict=True)
    )
    return (*units, *services, ReleaseFile(f"{UNITS}{SLICE}", slice_text(plan.services, place)))


def unit_name(service: str) -> str:
    return f"provision-{service}.service"


def service_text(service: Service, place: Place, part: str) -> str:
    """`part` is on the command line, so that the process tells what it was started from."""
    keeper = [place.python, "-I", "-m", "provisioner.world.keeper", f"--under={NAME}", f"--part={part}"]
    lines = [
        f"ExecStart={' '.join(quote(word) for word in (*keeper, f'{HERE}/units/{service.name}.json'))}",
        f"SyslogIdentifier=provision-{service.name}",
        "Restart=always",
        "RestartSec=2",
        "TimeoutStopSec=20",
        "KillMode=mixed",
        f"LimitNOFILE={service.open_files}",
        *_cpus(service.cpus),
        *_numa(service.numa_nodes),
        *_memory(service.memory_max_bytes),
        *(_user_sandbox(service) if place.user_manager else _sandbox(service, place)),
    ]
    wanted_by = "default.target" if place.user_manager else "multi-user.target"
    title = text(f"provision: {service.name} serves {service.model_name}")
    return fill("systemd/service.j2", mark=place.mark, title=title, lines=lines, wanted_by=wanted_by)


def slice_text(services: tuple[Service, ...], place: Place) -> str:
    limits = [service.memory_max_bytes for service in services]
    total = sum(limit for limit in limits if limit is not None) if None not in limits else None
    lines = ["MemoryAccounting=yes", "CPUAccounting=yes", *_memory(total)]
    return fill("systemd/slice.j2", mark=place.mark, lines=lines)


def quote(word: str) -> str:
    """One word of a command line as systemd reads it."""
    return f'"{command_word(word)}"'


def path(name: str) -> str:
    """One word of any other setting: quoted in the same way, but without variables."""
    return f'"{setting_word(name)}"'


def text(words: str) -> str:
    """Words for people on one line, in which systemd finds nothing to replace."""
    return " ".join(words.split()).replace("%", "%%").rstrip("\\ ")


def _cpus(cpus: str | None) -> tuple[str, ...]:
    """Both ways: `AllowedCPUs=` needs cgroup v2 and is silently without effect on older machines."""
    return (f"CPUAffinity={cpus}", f"AllowedCPUs={cpus}") if cpus else ()


def _numa(nodes: str | None) -> tuple[str, ...]:
    return ("NUMAPolicy=bind", f"NUMAMask={nodes}") if nodes else ()


def _memory(limit: int | None) -> tuple[str, ...]:
    return (f"MemoryMax={limit}",) if limit else ()


def _user_sandbox(service: Service) -> tuple[str, ...]:
    """After a reboot it is often the first user of a card whose driver is loaded, by a helper that is set-uid root."""
    return () if service.devices else ("NoNewPrivileges=yes",)


def _sandbox(service: Service, place: Place) -> tuple[str, ...]:
    """The system's manager can take away what an engine never needs; a card's driver may still have to be loaded."""
    return (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        f"ReadWritePaths={path(f'-{place.state}/logs')}",
        *(f"ReadWritePaths=-%h/{folder}" for folder in service.home),
        *(() if _in_temporary(place) else ("PrivateTmp=yes",)),
        "ProtectKernelTunables=yes",
        "ProtectControlGroups=yes",
        *(() if service.devices else ("CapabilityBoundingSet=", "ProtectKernelModules=yes")),
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK",
        "RestrictSUIDSGID=yes",
        "LockPersonality=yes",
    )


def _in_temporary(place: Place) -> bool:
    """Whether the service would lose its own files with the machine's temporary folders."""
    return any(each.startswith(("/tmp/", "/var/tmp/")) for each in (place.state, place.python))  # noqa: S108


def replace(standing: Standing, release: Release | None, place: Place) -> tuple[Action, ...]:
    wanted = _wanted(release)
    known = {name for name, _ in standing.units}
    changed = tuple(sorted(name for name in wanted if (name, wanted[name]) not in standing.units))
    stale = tuple(sorted((known | _orphans(standing)) - set(wanted)))
    kept = _kept(standing, release)
    starts = tuple(name for name in _services(release) if name not in kept)
    sleepers = tuple(name for name in _services(release) if name not in starts and not _links(standing, name))
    return (
        *(action for name in stale for action in _end(standing, name, place)),
        *(RemoveFile(f"{place.unit_folder}/{name}") for name in stale if name in known),
        *(WriteFile(f"{place.unit_folder}/{name}", wanted[name]) for name in changed),
        *((_tool(place, "daemon-reload"),) if stale or changed or starts else ()),
        *(_tool(place, "reset-failed", _if_loaded(name)) for name in stale if name.endswith(".service")),
        *(_tool(place, "enable", name) for name in sleepers),
        *(action for name in starts for action in _start(place, name)),
    )


def _services(release: Release | None) -> tuple[str, ...]:
    return tuple(unit_name(service.name) for service in release.services) if release else ()


def _kept(standing: Standing, release: Release | None) -> set[str]:
    """Units whose process was started from the same as this release says, and whose file says nothing else."""
    if release is None:
        return set()
    wanted, parts = _wanted(release), parts_of(release)
    there = {(name, _bare(content)) for name, content in standing.units}
    running = {
        one.service for one in _ours(standing) if one.digest == release.digest or one.part == parts.get(one.service)
    }
    names = {unit_name(service) for service in running.intersection(parts)}
    return {name for name in names if (name, _bare(wanted[name])) in there}


def _bare(unit: str) -> str:
    """Without the name of the release whose folder it reads: what is started is the same."""
    return FOLDER.sub("/releases/", unit)


def _ours(standing: Standing) -> tuple[Running, ...]:
    return tuple(one for one in standing.running if one.target == NAME)


def _orphans(standing: Standing) -> set[str]:
    """Units whose file somebody removed while they run, or while they are to start with the machine."""
    return {unit_name(one.service) for one in _ours(standing)} | {link.rpartition("/")[2] for link in standing.enabled}


def _links(standing: Standing, name: str) -> tuple[str, ...]:
    return tuple(sorted(link for link in standing.enabled if link.endswith(f"/{name}")))


def _end(standing: Standing, name: str, place: Place) -> tuple[Action, ...]:
    """Stopped for good; `disable` asks for a unit file, so without one its links go by hand."""
    if name.endswith(".slice"):
        return (_tool(place, "stop", name),)
    if any(name == known for known, _ in standing.units):
        return (_tool(place, "disable", "--now", name),)
    links = (RemoveFile(f"{place.unit_folder}/{link}") for link in _links(standing, name))
    return (_tool(place, "stop", _if_loaded(name)), *links)


def _if_loaded(name: str) -> str:
    """A pattern that only this name fits: systemctl takes a pattern that fits no loaded unit without complaint."""
    return name.replace(".", "[.]")


def _wanted(release: Release | None) -> dict[str, str]:
    drafts = release.files if release else ()
    return {file.path.removeprefix(UNITS): file.content for file in drafts if file.path.startswith(UNITS)}


def _start(place: Place, name: str) -> tuple[Action, ...]:
    return _tool(place, "enable", name), _tool(place, "restart", name)


def restart(_: Standing, release: Release, place: Place) -> tuple[Action, ...]:
    return tuple(action for name in _services(release) for action in _start(place, name))


def _tool(place: Place, *words: str) -> RunTool:
    return RunTool(("systemctl", *(("--user",) if place.user_manager else ()), *words))


TARGET = Target(name=NAME, files=files, replace=replace, restart=restart)
