"""The parsers of what only `doctor` asks: values for what is written there, and for anything else a reason."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    ssh_ports,
)
from provisioner.model.facts import AskDocker, CannotAsk, Fact, ReadFiles, Unknown
from provisioner.model.upkeep import DeviceInterface, DockerConfiguration, Package

FACTS: tuple[Fact[object], ...] = (
    automatic_upgrades.FACT, cgroup_managers.CONTAINERD, cgroup_managers.KUBELET, device_interfaces.FACT, device_links.FACT,
    docker_configuration.FACT, driver_libraries.FACT, image_cuda.needs(("a:b",)), kernel_modules.FACT, nvswitch.FACT,
    packages.FACT, programs.FACT, ssh_ports.FACT,
)  # fmt: skip


def keys(fact: Fact[object]) -> tuple[str, ...]:
    question = fact.question
    assert isinstance(question, ReadFiles | AskDocker)
    patterns = (*question.files, *question.links) if isinstance(question, ReadFiles) else question.paths
    return tuple(pattern.replace("*", "1.yaml") for pattern in patterns)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_answer_makes_a_parser_fail_in_another_way(fact: Fact[object], data: st.DataObject) -> None:
    answer = st.one_of(st.text(max_size=60), st.builds(Unknown, st.just("no")), st.sampled_from(["{}", "[1]", "a {b \"c\";}", "{\"Config\": 1}"]))  # fmt: skip
    answers = data.draw(st.dictionaries(st.sampled_from(keys(fact)), answer, min_size=1))
    try:
        fact.parse(answers)
    except (ValueError, KeyError, CannotAsk):
        return


def upgrades(files: Mapping[str, str]) -> tuple[bool, tuple[str, ...]]:
    found = automatic_upgrades.parse({f"/etc/apt/apt.conf.d/{name}": text for name, text in files.items()})
    return found.on, found.spared


@pytest.mark.parametrize(
    ("files", "on"),
    [
        ({"20auto": 'APT::Periodic::Unattended-Upgrade "1";'}, True),
        ({"20auto": 'APT::Periodic::Unattended-Upgrade "1"; // "0"'}, True),
        ({"20auto": 'APT::Periodic::Unattended-Upgrade "7";'}, True),
        ({"20auto": 'apt { periodic { unattended-upgrade "1"; }; };'}, True),
        ({"20auto": '# APT::Periodic::Unattended-Upgrade "1";'}, False),
        ({"20auto": '/* APT::Periodic::Unattended-Upgrade "1";\n*/'}, False),
        ({"20auto": 'APT::Periodic::Unattended-Upgrade "1";', "99": 'APT::Periodic::Unattended-Upgrade "0";'}, False),
        ({"20auto": 'APT::Periodic::Unattended-Upgrade "0";', "99.dpkg-old": 'APT::Periodic::Unattended-Upgrade "1";'}, False),
        ({"20auto": 'Acquire::http::Proxy "http://proxy:3128/";\nAPT::Periodic::Unattended-Upgrade "1";'}, True),
        ({"20auto": ""}, False),
    ],
)  # fmt: skip
def test_automatic_upgrades(files: Mapping[str, str], on: bool) -> None:
    assert upgrades(files)[0] is on


def test_the_one_file_of_apt_is_read_last() -> None:
    files = {"/etc/apt/apt.conf": 'APT::Periodic::Enable "0";', "/etc/apt/apt.conf.d/zz": 'APT::Periodic::Enable "1";\nAPT::Periodic::Unattended-Upgrade "1";'}  # fmt: skip
    assert automatic_upgrades.parse(files).on is False


def test_spared_packages_are_listed_without_comments() -> None:
    text = 'Unattended-Upgrade::Package-Blacklist {\n// "linux-";\n "nvidia-driver-580$"; "^lib[{]";\n};\n'
    assert upgrades({"50": text})[1] == ("nvidia-driver-580$", "^lib[{]")


def test_packages_with_a_hold_an_epoch_and_one_that_was_removed() -> None:
    status = (
        "Package: docker-ce\nStatus: install ok installed\nVersion: 5:28.5.1-1~ubuntu.24.04~noble\n\n"
        "Package: nvidia-driver-535\nStatus: hold ok installed\nVersion: 535.183.01-0ubuntu1\n\n"
        "Package: nvidia-driver-470\nStatus: deinstall ok config-files\nVersion: 470.1-1\n\n"
        "Package: vim\nStatus: install ok installed\nVersion: 2\n"
    )
    found = packages.parse({packages.STATUS: status})
    assert found == (
        Package("docker-ce", "5:28.5.1-1~ubuntu.24.04~noble", held=False),
        Package("nvidia-driver-535", "535.183.01-0ubuntu1", held=True),
    )
    assert [package.upstream for package in found] == ["28.5.1", "535.183.01"]


def test_the_library_s_version_is_the_end_of_the_link_that_has_one() -> None:
    links = {"/usr/lib/a/libcuda.so.1": "libcuda.so.580.95.05", "/usr/lib/a/libnvidia-ml.so.1": "/etc/alternatives/x", "/b": "libnvidia-ml.so.1"}  # fmt: skip
    assert driver_libraries.parse(links) == ("580.95.05",)


def test_an_interface_in_json() -> None:
    text = '{\n  "cdiVersion": "0.5.0",\n  "kind": "nvidia.com/gpu",\n  "devices": [\n    {\n      "name": "0",\n      "x": 1\n    }\n  ],\n  "hostPath": "/usr/lib/libcuda.so.535.1.2"\n}\n'  # fmt: skip
    found = device_interfaces.parse({"/etc/cdi/nvidia.json": text, "/etc/cdi/README": text})
    assert found == (DeviceInterface("/etc/cdi/nvidia.json", "nvidia.com/gpu", ("0",), ("535.1.2",)),)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", DockerConfiguration((), None, None)),
        ('{"exec-opts": ["native.cgroupdriver=systemd"], "default-runtime": "nvidia", "runtimes": {"nvidia": {}}}',
         DockerConfiguration(("nvidia",), "nvidia", "systemd")),
        ("[]", DockerConfiguration((), None, None, "it is not a JSON object")),
    ],
)  # fmt: skip
def test_docker_s_configuration(text: str, found: DockerConfiguration) -> None:
    assert docker_configuration.parse({docker_configuration.FILE: text}) == found


@pytest.mark.parametrize(
    ("lines", "ports"),
    [
        ("#Port 22\nPermitRootLogin no\n", (22,)),
        ("Port 2222\nport 2200\n", (22, 2200, 2222)),
        ("ListenAddress [::]:2022\nListenAddress 10.0.0.1\n", (22, 2022)),
        ("Port none\nPort\n", (22,)),
    ],
)
def test_the_ports_of_ssh(lines: str, ports: tuple[int, ...]) -> None:
    assert ssh_ports.parse({"/etc/ssh/sshd_config": lines}) == ports
