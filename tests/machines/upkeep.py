"""The server with eight H200 as it runs for a year: packages, libraries and configurations beside what `detect` reads.

Composed, not recorded: package names and their order are Ubuntu 24.04's, the interface file has the keys and the file names that
`nvidia-ctk cdi generate` writes (https://github.com/cncf-tags/container-device-interface, SPEC.md), and apt's files are those of
the package unattended-upgrades.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.machines.compose import DRIVER, Json

FOLDER = Path(__file__).parent
KERNEL = "6.8.0-87-generic"
NEWER = "6.8.0-90-generic"
LIBRARY = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
INTERFACE = "/etc/cdi/nvidia.yaml"
NOW_UNIX = 1_795_000_000


def kept() -> dict[str, Json]:
    """Nothing has drifted."""
    machine: dict[str, Json] = json.loads((FOLDER / "h200x8.json").read_text())
    kernel = machine["kernel"]
    assert isinstance(kernel, dict)
    kernel["clock"] = json.dumps({"unix": NOW_UNIX})
    machine["docker"] = {"/version": docker_version(), "/info": docker_info()}
    with_files(
        machine,
        {
            "/var/lib/dpkg/status": status({}),
            "/etc/apt/apt.conf.d/20auto-upgrades": 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n',
            "/etc/apt/apt.conf.d/50unattended-upgrades": UPGRADES,
            "/etc/docker/daemon.json": '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}}\n',
            INTERFACE: interface(DRIVER, 8),
            f"/lib/modules/{KERNEL}/modules.dep": "updates/dkms/nvidia.ko.zst:\nkernel/net/ipv4/udp_tunnel.ko.zst:\n",
            "/proc/1/comm": "systemd\n",
            "/proc/771/comm": "nv-fabricmanage\n",
            "/proc/801/comm": "systemd-timesyn\n",
            **switches(4),
        },
    )
    links = machine["links"]
    assert isinstance(links, dict)
    links |= {LIBRARY: f"libnvidia-ml.so.{DRIVER}", "/dev/char/195:0": "../nvidia0"}
    return machine


def with_files(machine: dict[str, Json], files: Mapping[str, str | None]) -> dict[str, Json]:
    """These files in it; one that is None is taken away."""
    had = machine["files"]
    assert isinstance(had, dict)
    for path, text in files.items():
        had.pop(path, None)
        if text is not None:
            had[path] = text
    return machine


def docker_version() -> str:
    return json.dumps({"Version": "28.5.1", "ApiVersion": "1.51"})


def docker_info(runtimes: tuple[str, ...] = ("nvidia", "runc"), cgroups: str = "systemd") -> str:
    return json.dumps(
        {"Runtimes": {name: {} for name in runtimes}, "CgroupDriver": cgroups, "DockerRootDir": "/var/lib/docker"}
    )


def switches(number: int) -> dict[str, str]:
    folders = [f"/sys/bus/pci/devices/0000:{0xA3 + at:02x}:00.0" for at in range(number)]
    return {f"{folder}/class": "0x068000\n" for folder in folders} | {
        f"{folder}/vendor": "0x10de\n" for folder in folders
    }


PACKAGES = {
    "adduser": "3.137ubuntu1",
    "docker-ce": "5:28.5.1-1~ubuntu.24.04~noble",
    "libnvidia-compute-580": f"{DRIVER}-0ubuntu0.24.04.2",
    "libnvidia-container1": "1.19.1-1",
    "nvidia-container-toolkit": "1.19.1-1",
    "nvidia-driver-580-server": f"{DRIVER}-0ubuntu0.24.04.2",
    "nvidia-fabricmanager-580": f"{DRIVER}-0ubuntu0.24.04.1",
    "unattended-upgrades": "2.9.1+nmu4ubuntu1",
}
HELD = ("libnvidia-compute-580", "nvidia-driver-580-server", "nvidia-fabricmanager-580")


def status(versions: Mapping[str, str | None], held: tuple[str, ...] = HELD) -> str:
    """The package database with these versions; None for a package that is not there."""
    return "\n".join(
        f"Package: {name}\nStatus: {'hold' if name in held else 'install'} ok installed\nSection: misc\n"
        f"Version: {version}\nDescription: one line\n and another: with a colon\n"
        for name, version in sorted({**PACKAGES, **versions}.items())
        if version
    )


def interface(driver: str, cards: int) -> str:
    """A file of the Container Device Interface."""
    devices = "".join(
        f'- containerEdits:\n    deviceNodes:\n    - path: /dev/nvidia{at}\n  name: "{at}"\n' for at in range(cards)
    )
    return (
        "---\ncdiVersion: 0.5.0\ncontainerEdits:\n  hooks:\n  - hookName: createContainer\n    path: /usr/bin/nvidia-cdi-hook\n"
        f"  mounts:\n  - containerPath: /usr/lib/x86_64-linux-gnu/libcuda.so.{driver}\n"
        f"    hostPath: /usr/lib/x86_64-linux-gnu/libcuda.so.{driver}\n"
        f"devices:\n{devices}- containerEdits: {{}}\n  name: all\nkind: nvidia.com/gpu\n"
    )


UPGRADES = """\
// Automatically upgrade packages from these (origin:archive) pairs
Unattended-Upgrade::Allowed-Origins {
        "${distro_id}:${distro_codename}";
        "${distro_id}:${distro_codename}-security";
};
Unattended-Upgrade::Package-Blacklist {
//  "linux-";
};
"""
