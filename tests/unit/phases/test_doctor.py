"""Each kind of drift on a recorded machine is found under its id, and a machine that was kept well has none."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import pytest

from provisioner.catalog import scan
from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Check
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.upkeep import Examined
from provisioner.phases.doctor import examine
from provisioner.world.machine import RecordedMachine
from tests.machines import upkeep
from tests.machines.compose import DRIVER, Json
from tests.unit.planning.samples import plan

STATE = "/var/lib/provision"
OLDER = "575.57.08"
IMAGE = "docker.io/vllm/vllm-openai:v1"
Machine = dict[str, Json]


def looked(machine: Machine, folder: Path, image: str | None = None) -> Examined:
    path = folder / "machine.json"
    path.write_text(json.dumps(machine))
    return examine(RecordedMachine(str(path)), in_force(image) if image else None, "f" * 64 if image else None, STATE)


def in_force(image: str) -> Plan:
    """A plan whose service comes in this image."""
    known = plan("8 cores, 32 GiB", Spec(profile="demo"))
    return replace(known, services=tuple(replace(service, image=image) for service in known.services))


def only(machine: Machine, folder: Path, image: str | None = None) -> Finding:
    (finding,) = looked(machine, folder, image).findings
    return finding


def files(**changes: str | None) -> Callable[[Machine], None]:
    """Change files by the short names below."""
    names = {
        "status": "/var/lib/dpkg/status",
        "docker": "/etc/docker/daemon.json",
        "interface": upkeep.INTERFACE,
        "fabric": "/proc/771/comm",
        "time": "/proc/801/comm",
        "apt": "/etc/apt/apt.conf.d/50unattended-upgrades",
        "kernel": f"/lib/modules/{upkeep.NEWER}/modules.dep",
        "kubelet": "/var/lib/kubelet/config.yaml",
        "containerd": "/etc/containerd/config.toml",
    }
    return lambda machine: (upkeep.with_files(machine, {names[key]: text for key, text in changes.items()}), None)[1]


def part(name: str, **changes: Json) -> Callable[[Machine], None]:
    def change(machine: Machine) -> None:
        known = machine[name]
        assert isinstance(known, dict)
        for key, value in changes.items():
            known[key] = value

    return change


def links(path: str, target: str | None) -> Callable[[Machine], None]:
    def change(machine: Machine) -> None:
        known = machine["links"]
        assert isinstance(known, dict)
        known.pop(path)
        if target:
            known[path] = target

    return change


def engine(runtimes: tuple[str, ...], cgroups: str = "systemd") -> Callable[[Machine], None]:
    return part("docker", **{"/info": upkeep.docker_info(runtimes, cgroups)})


def both(*changes: Callable[[Machine], None]) -> Callable[[Machine], None]:
    def change(machine: Machine) -> None:
        for each in changes:
            each(machine)

    return change


def space(free: int, total: int) -> Callable[[Machine], None]:
    told = json.dumps({"total": total, "free": free, "inodes": 1000000, "free_inodes": 900000})
    return part("kernel", **{"statvfs:/": told})


def status(held: tuple[str, ...] = upkeep.HELD, **versions: str | None) -> Callable[[Machine], None]:
    return files(status=upkeep.status({name.replace("_", "-"): version for name, version in versions.items()}, held))


def test_a_machine_that_was_kept_well(tmp_path: Path) -> None:
    examined = looked(upkeep.kept(), tmp_path)
    assert (examined.findings, examined.not_looked, examined.hostname) == ((), (), "composed")


GIB = 1 << 30
DRIFTS = [
    ("driver_match", "error", links(upkeep.LIBRARY, f"libnvidia-ml.so.{OLDER}"), OLDER),
    ("toolkit_ready", "warning", both(status(nvidia_container_toolkit=None), engine(("runc",))), "toolkit is not"),
    ("toolkit_ready", "warning", both(engine(("runc",)), files(interface=None, docker=None)), "does not know it"),
    ("toolkit_ready", "warning", both(engine(("runc",)), files(interface=None)), "not started since"),
    ("toolkit_ready", "warning", files(interface=upkeep.interface(OLDER, 8)), f"{OLDER}, and {DRIVER} is loaded"),
    ("toolkit_ready", "warning", files(interface=upkeep.interface(DRIVER, 6)), "describes 6 cards, and 8"),
    ("toolkit_version", "error", status(nvidia_container_toolkit="1.17.7-1"), "CVE-2025-23266"),
    ("toolkit_version", "warning", status(nvidia_container_toolkit="1.19.0-1"), "CVE-2026-24260"),
    ("fabric_manager", "error", files(fabric=None), "does not run"),
    ("fabric_manager", "error", status(nvidia_fabricmanager_580=f"{OLDER}-0ubuntu1"), f"is {OLDER}"),
    ("driver_upgrades", "warning", status(held=upkeep.HELD[:2]), "nvidia-fabricmanager-580"),
    ("next_kernel", "warning", files(kernel="kernel/net/ipv4/udp_tunnel.ko.zst:\n"), upkeep.NEWER),
    ("cgroup_driver", "warning", engine(("nvidia", "runc"), "cgroupfs"), "cgroupfs"),
    ("cgroup_driver", "error", files(kubelet="kind: x\ncgroupDriver: systemd\n", containerd="[plugins]\n"), "containerd"),
    ("cards_kept", "warning", links("/dev/char/195:0", None), "daemon-reload"),
    ("docker_starts", "error", files(docker='{"runtimes": {},}'), "not JSON"),
    ("disk_filling", "error", space(1 * GIB, 1881 * GIB), "state folder and Docker"),
    ("disk_filling", "warning", space(20 * GIB, 1881 * GIB), "20.0 GiB"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "level", "change", "words"), DRIFTS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_each_drift_is_found_alone(
    name: str, level: str, change: Callable[[Machine], None], words: str, tmp_path: Path
) -> None:
    machine = upkeep.kept()
    change(machine)
    finding = only(machine, tmp_path)
    assert (finding.id, finding.level) == (name, level)
    assert words in finding.message
    assert finding.fix


def test_every_rule_of_drift_has_its_case() -> None:
    checks = cast(Mapping[str, Check], scan("provisioner.checks.drift", "CHECK"))
    elsewhere = {"image_cuda", "time_service", "certificate_valid"}
    assert set(checks) == {case[0] for case in DRIFTS} | elsewhere
    assert {check.stage for check in checks.values()} == {"drift"}


@pytest.mark.parametrize(
    "spared",
    ['"^(lib)?nvidia-.*";', '"libnvidia-compute"; "nvidia-(driver|fabricmanager)";'],
)
def test_what_upgrades_spare_needs_no_hold(spared: str, tmp_path: Path) -> None:
    machine = upkeep.kept()
    both(status(held=()), files(apt=f"Unattended-Upgrade::Package-Blacklist {{ {spared} }};\n"))(machine)
    assert looked(machine, tmp_path).findings == ()


@pytest.mark.parametrize("end", ['APT::Periodic::Unattended-Upgrade "0";', 'APT { Periodic { Enable "0"; }; };'])
def test_upgrades_that_are_off_need_no_hold(end: str, tmp_path: Path) -> None:
    machine = upkeep.with_files(upkeep.kept(), {"/etc/apt/apt.conf.d/99off": end})
    status(held=())(machine)
    assert looked(machine, tmp_path).findings == ()


def test_a_clock_that_no_program_keeps(tmp_path: Path) -> None:
    machine = upkeep.kept()
    files(time=None)(machine)
    upkeep.with_files(machine, {"/run/systemd/timesync/synchronized": None})
    unreadable = machine["unreadable"]
    assert isinstance(unreadable, dict)
    unreadable.pop("/run/systemd/timesync")
    assert only(machine, tmp_path).id == "time_service"
    upkeep.with_files(machine, {"/proc/9/comm": "chronyd\n"})
    assert looked(machine, tmp_path).findings == ()


REQUIRES = "NVIDIA_REQUIRE_CUDA=cuda>={cuda} brand=tesla,driver>=535,driver<536 brand=tesla,driver>={driver},driver<581"


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        (["CUDA_VERSION=13.0.1"], None),
        (["CUDA_VERSION=12.9.1"], None),
        (["CUDA_VERSION=13.1.0"], "warning"),
        (["CUDA_VERSION=14.0.0"], "error"),
        (["CUDA_VERSION=14.0.0", REQUIRES.format(cuda="13.0", driver=580)], None),
        (["CUDA_VERSION=14.0.0", REQUIRES.format(cuda="14.0", driver=580)], "warning"),
        (["CUDA_VERSION=14.0.0", REQUIRES.format(cuda="14.0", driver=590)], "error"),
        (["PATH=/usr/bin"], None),
    ],
)
def test_an_image_that_is_newer_than_the_driver(environment: list[str], level: str | None, tmp_path: Path) -> None:
    machine = upkeep.kept()
    part("docker", **{f"/images/{IMAGE}/json": json.dumps({"Config": {"Env": environment}})})(machine)
    found = looked(machine, tmp_path, IMAGE).findings
    assert [(one.id, one.level) for one in found] == ([("image_cuda", level)] if level else [])


def test_an_image_that_is_not_there_is_asked_for_nothing(tmp_path: Path) -> None:
    assert looked(upkeep.kept(), tmp_path, IMAGE).findings == ()


def test_what_cannot_be_looked_at_is_said(tmp_path: Path) -> None:
    machine = upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": None})
    machine["docker"] = {"": {"unknown": "/var/run/docker.sock: Permission denied"}}
    told = {one.fact: one.reason for one in looked(machine, tmp_path).not_looked}
    assert told["docker"] == "/var/run/docker.sock: Permission denied"
    assert "Debian" in told["packages"]
    assert set(told) == {"docker", "packages"}


@pytest.mark.parametrize("name", ["small-vm", "apple-m4-max", "mi300x8", "x86_64-epyc_7451"])
def test_a_machine_without_such_cards_has_none_of_their_drift(name: str) -> None:
    machine = RecordedMachine(str(upkeep.FOLDER / f"{name}.json"))
    found = {finding.id for finding in examine(machine, None, None, STATE).findings}
    assert found <= {"clock", "time_service", "device_health", "disk_filling"}
