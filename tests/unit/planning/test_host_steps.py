"""What a host is given: by its distribution, its cards and what is there already; and that the playbooks take exactly these values."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest
import yaml

from provisioner.catalog import scan
from provisioner.model.facts import HostFacts
from provisioner.model.host import HostStep, HostSteps, HostWish
from provisioner.model.plan import Plan
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.upkeep import Upkeep
from provisioner.phases.doctor import upkeep_of
from provisioner.phases.gather import gather
from provisioner.planning.host.host_packages import KNOWN
from provisioner.planning.host.host_steps import host_steps, variables
from provisioner.world.machine import RecordedMachine
from tests.machines import upkeep
from tests.machines.compose import Json
from tests.unit.planning.samples import plan

ROLES = Path(__file__).parents[3] / "playbooks/roles"
DEMO = plan("8 cores, 32 GiB", Spec(profile="demo"))
DOCKER = replace(DEMO, target="docker", engine="vllm")
GUARDED = HostWish(allow=("10.0.0.0/8",), ports=(443,), time_servers=("ntp.example.edu",))
BARE = "Package: adduser\nStatus: install ok installed\nVersion: 3\n"


def bare(name: str, os: str = "Ubuntu 24.04.3 LTS", status: str = BARE, **files: str) -> dict[str, Json]:
    """A recorded machine with this distribution, and almost no package."""
    machine: dict[str, Json] = json.loads((upkeep.FOLDER / f"{name}.json").read_text())
    machine["docker"] = None
    return upkeep.with_files(
        machine,
        {
            "/etc/os-release": f'PRETTY_NAME="{os}"\n',
            "/var/lib/dpkg/status": status,
            "/proc/1/comm": "systemd\n",
            "/run/systemd/timesync/synchronized": "",
            **files,
        },
    )


def known(machine: dict[str, Json], folder: Path) -> tuple[HostFacts, Upkeep]:
    path = folder / "machine.json"
    path.write_text(json.dumps(machine))
    recorded = RecordedMachine(str(path))
    return gather(recorded, cast("Mapping[str, Vendor]", scan("provisioner.accelerators", "VENDOR"))), upkeep_of(
        recorded, ()
    )


def steps(machine: dict[str, Json], folder: Path, wanted: Plan = DOCKER, wish: HostWish | None = None) -> HostSteps:
    return host_steps(wanted, *known(machine, folder), wish or HostWish())


def roles(found: HostSteps) -> list[str]:
    return [step.role for step in found.steps]


def step(found: HostSteps, role: str) -> HostStep:
    return next(each for each in found.steps if each.role == role)


def test_a_bare_server_with_cards_gets_all_that_containers_on_them_need(tmp_path: Path) -> None:
    found = steps(bare("gpu-without-driver"), tmp_path)
    assert roles(found) == ["package_sources", "container_engine", "nvidia_driver", "container_toolkit"]
    assert step(found, "container_engine").values["container_engine_packages"] == ("docker.io", "docker-compose-v2")
    assert step(found, "nvidia_driver").values["nvidia_driver_packages"] == (
        "linux-headers-6.8.0-87-generic", "nvidia-headless-580-server-open", "nvidia-utils-580-server",
    )  # fmt: skip
    assert step(found, "container_toolkit").values["container_toolkit_interface"] == ""
    assert found.findings == ()


def test_cards_before_turing_get_the_modules_that_know_them(tmp_path: Path) -> None:
    machine = bare("gpu-without-driver")
    upkeep.with_files(machine, {"/sys/bus/pci/devices/0000:17:00.0/device": "0x1db5\n"})
    names = step(steps(machine, tmp_path), "nvidia_driver").values["nvidia_driver_packages"]
    assert "nvidia-headless-580-server" in cast("tuple[str, ...]", names)


def test_switches_get_the_fabric_manager_of_the_driver(tmp_path: Path) -> None:
    machine = upkeep.with_files(bare("gpu-without-driver"), upkeep.switches(4))
    names = step(steps(machine, tmp_path), "nvidia_driver").values["nvidia_driver_packages"]
    assert "nvidia-fabricmanager-580" in cast("tuple[str, ...]", names)


def test_debian_12_takes_docker_s_own_packages_and_the_non_free_parts(tmp_path: Path) -> None:
    found = steps(bare("gpu-without-driver", os="Debian GNU/Linux 12 (bookworm)"), tmp_path)
    sources = cast("tuple[Mapping[str, str], ...]", step(found, "package_sources").values["package_sources_list"])
    assert [source["name"] for source in sources] == [
        "provision-docker", "provision-non-free", "provision-nvidia-container-toolkit",
    ]  # fmt: skip
    assert (
        "URIs: https://download.docker.com/linux/debian\nSuites: bookworm\nComponents: stable\n"
        in sources[0]["content"]
    )
    names = cast("tuple[str, ...]", step(found, "nvidia_driver").values["nvidia_driver_packages"])
    assert {"linux-headers-amd64", "nvidia-open-kernel-dkms", "libcuda1"} <= set(names)


@pytest.mark.parametrize(
    ("asked", "first"), [("distribution", "docker.io"), ("docker", "docker-ce"), (None, "docker-ce")]
)
def test_where_docker_comes_from_can_be_said(asked: str | None, first: str, tmp_path: Path) -> None:
    found = steps(bare("small-vm", os="Debian GNU/Linux 12 (bookworm)"), tmp_path, wish=HostWish(docker_from=asked))
    assert cast("tuple[str, ...]", step(found, "container_engine").values["container_engine_packages"])[0] == first


def test_an_engine_that_is_installed_stays_what_it_is(tmp_path: Path) -> None:
    found = steps(upkeep.kept(), tmp_path, wish=HostWish(docker_from="distribution"))
    engine = step(found, "container_engine").values
    assert "docker-ce" in cast("tuple[str, ...]", engine["container_engine_packages"])
    assert "docker-ce" not in cast("tuple[str, ...]", engine["container_engine_missing"])


def test_an_engine_that_no_package_brought_is_left_alone(tmp_path: Path) -> None:
    machine = upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": BARE})
    assert "container_engine" not in roles(steps(machine, tmp_path))


def test_a_plan_without_containers_needs_no_engine(tmp_path: Path) -> None:
    assert roles(steps(bare("small-vm"), tmp_path, wanted=DEMO)) == []
    assert roles(steps(bare("gpu-without-driver"), tmp_path, wanted=DEMO)) == ["nvidia_driver"]


def test_a_driver_that_is_loaded_is_kept_and_held(tmp_path: Path) -> None:
    packages = {"nvidia-compute-utils-580-server": "580.95.05-0ubuntu0.24.04.2"}
    machine = upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": upkeep.status(packages)})
    found = steps(machine, tmp_path)
    assert roles(found) == [
        "package_sources",
        "container_engine",
        "container_toolkit",
        "persistence_mode",
        "package_holds",
    ]
    assert step(found, "package_holds").values["package_holds_names"] == (
        "libnvidia-compute-580", "nvidia-compute-utils-580-server", "nvidia-driver-580-server", "nvidia-fabricmanager-580",
    )  # fmt: skip
    assert step(found, "container_toolkit").values["container_toolkit_missing"] == ()
    assert step(found, "container_toolkit").values["container_toolkit_interface"] == upkeep.INTERFACE


def test_a_toolkit_that_is_too_old_is_missing(tmp_path: Path) -> None:
    old = upkeep.status({"nvidia-container-toolkit": "1.17.7-1"})
    found = steps(upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": old}), tmp_path)
    assert step(found, "container_toolkit").values["container_toolkit_missing"] == ("nvidia-container-toolkit>=1.19.1",)


def test_a_driver_that_waits_for_a_restart_is_told(tmp_path: Path) -> None:
    found = steps(bare("gpu-without-driver", status=upkeep.status({})), tmp_path)
    assert [finding.message for finding in found.findings] == ["NVIDIA's driver is installed and not loaded"]


def test_makers_without_packages_are_told(tmp_path: Path) -> None:
    found = steps(bare("ascend-without-tool"), tmp_path)
    assert ["Huawei Ascend" in finding.message for finding in found.findings] == [True]


def test_amd_s_cards_get_their_firmware(tmp_path: Path) -> None:
    found = steps(bare("mi300x8", os="Debian GNU/Linux 13 (trixie)"), tmp_path)
    assert step(found, "vendor_driver").values["vendor_driver_packages"] == ("firmware-amd-graphics",)


def test_llama_cpp_on_several_nodes_places_its_memory_itself(tmp_path: Path) -> None:
    found = steps(upkeep.kept(), tmp_path, wanted=DEMO)
    assert "kernel.numa_balancing = 0\n" in str(step(found, "kernel_settings").values["kernel_settings_content"])
    assert "kernel_settings" not in roles(steps(bare("small-vm"), tmp_path, wanted=DEMO))


CHRONY = {"/proc/7/comm": "chronyd\n"}


@pytest.mark.parametrize(
    ("files", "servers", "unit"),
    [
        ({"/run/systemd/timesync/synchronized": None}, (), "systemd-timesyncd.service"),
        ({}, (), None),
        ({}, ("ntp.example.edu",), "systemd-timesyncd.service"),
        (CHRONY, ("ntp.example.edu",), "chrony.service"),
        (CHRONY, (), None),
        (
            {"/var/lib/dpkg/status": upkeep.status({"chrony": "4.5-1"}), "/run/systemd/timesync/synchronized": None},
            (),
            "chrony.service",
        ),
        ({"/.dockerenv": "", "/run/systemd/timesync/synchronized": None}, (), None),
        ({"/proc/7/comm": "ntpd\n", "/run/systemd/timesync/synchronized": None}, ("ntp.example.edu",), None),
    ],
)
def test_the_clock_is_kept_by_who_keeps_it_already(
    files: Mapping[str, str | None], servers: tuple[str, ...], unit: str | None, tmp_path: Path
) -> None:
    machine = upkeep.with_files(bare("gpu-without-driver"), files)
    found = steps(machine, tmp_path, wanted=DEMO, wish=HostWish(time_servers=servers))
    assert [each.values["time_service_unit"] for each in found.steps if each.role == "time_service"] == (
        [unit] if unit else []
    )


def test_a_firewall_needs_addresses_and_a_port(tmp_path: Path) -> None:
    machine = bare("small-vm")
    assert roles(steps(machine, tmp_path, wanted=DEMO, wish=HostWish(ports=(443,)))) == []
    assert roles(steps(machine, tmp_path, wanted=DEMO, wish=HostWish(allow=("10.0.0.0/8",)))) == []
    found = steps(machine, tmp_path, wanted=DEMO, wish=HostWish(allow=("10.0.0.0/8",), ports=(443,)))
    assert roles(found) == ["firewall"]


@pytest.mark.parametrize("os", ["Fedora Linux 42", "Debian GNU/Linux 11 (bullseye)", ""])
def test_a_host_that_no_playbook_knows_gets_no_step(os: str, tmp_path: Path) -> None:
    found = steps(bare("small-vm", os=os), tmp_path)
    assert (found.steps, [finding.level for finding in found.findings]) == ((), ["error"])


def test_what_is_known_is_named() -> None:
    assert {distribution.family for distribution in KNOWN.values()} == {"debian", "ubuntu"}


def everything(folder: Path) -> dict[str, HostStep]:
    """Each step in some host of the above."""
    packages = {"nvidia-compute-utils-580-server": "580.95.05-0ubuntu0.24.04.2"}
    machine = upkeep.with_files(upkeep.kept(), {"/var/lib/dpkg/status": upkeep.status(packages)})
    found = [
        *steps(machine, folder, wanted=replace(DOCKER, engine="llamacpp"), wish=GUARDED).steps,
        *steps(bare("gpu-without-driver", os="Debian GNU/Linux 12 (bookworm)"), folder).steps,
        *steps(bare("mi300x8"), folder).steps,
    ]
    return {each.role: each for each in found}


def test_each_role_takes_the_values_of_its_step_and_no_other(tmp_path: Path) -> None:
    told = {role: set(each.values) for role, each in everything(tmp_path).items()}
    taken = {
        role.name: set(
            yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        )
        for role in ROLES.iterdir()
    }
    assert told == taken


def test_the_playbook_s_variables_are_plain_data(tmp_path: Path) -> None:
    found = HostSteps(tuple(everything(tmp_path).values()), ())
    told = json.loads(json.dumps(variables(found)))
    assert told["host_steps"] == roles(found)
    assert isinstance(told["container_engine_packages"], list)
