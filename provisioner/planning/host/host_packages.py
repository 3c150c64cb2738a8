"""Which packages bring what on which distribution, and from where."""

from collections.abc import Mapping

from provisioner.model.record import dataclass

TOOLKIT_LEAST = "1.19.1"
"""NVIDIA's bulletin of June 2026 (https://nvidia.custhelp.com/app/answers/detail/a_id/5850): the first without CVE-2026-24260."""
BRANCH = "580"
"""The long-term branch, to June 2028 (https://docs.nvidia.com/datacenter/tesla/drivers/615/supported-drivers-and-cuda-toolkit-versions.html),
the last for cards before Turing, and the least that images with CUDA 13 want."""
OLDEST_OPEN = 0x1E00
"""The open modules are for Turing (device 1e02 on) and newer, the only ones for Blackwell: NVIDIA/open-gpu-kernel-modules, README.md."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Distribution:
    family: str
    codename: str
    compose: str
    """Its package of Docker Compose 2; empty where it has none, so that Docker's own repository is taken."""


KNOWN = {
    "Debian GNU/Linux 12": Distribution("debian", "bookworm", ""),
    "Debian GNU/Linux 13": Distribution("debian", "trixie", "docker-compose"),
    "Ubuntu 22.04": Distribution("ubuntu", "jammy", "docker-compose-v2"),
    "Ubuntu 24.04": Distribution("ubuntu", "noble", "docker-compose-v2"),
    "Ubuntu 26.04": Distribution("ubuntu", "resolute", "docker-compose-v2"),
}
"""By the beginning of PRETTY_NAME in /etc/os-release. Debian 12 packages Compose 1 only, which is past its life."""
DOCKERS_OWN = ("docker-ce", "docker-ce-cli", "containerd.io", "docker-buildx-plugin", "docker-compose-plugin")
"""https://docs.docker.com/engine/install/debian."""
RULE = (
    "# made by provision: https://github.com/NVIDIA/nvidia-container-toolkit/issues/48\n"
    'ACTION=="add", DEVPATH=="/bus/pci/drivers/nvidia", '
    'RUN+="/usr/bin/nvidia-ctk system create-dev-char-symlinks --create-all"\n'
)


def distribution_of(pretty_name: str) -> Distribution | None:
    return next((each for name, each in KNOWN.items() if pretty_name.startswith(name)), None)


def docker_source(distribution: Distribution, architecture: str) -> Mapping[str, str]:
    uri, key = f"https://download.docker.com/linux/{distribution.family}", "/etc/apt/keyrings/provision-docker.asc"
    content = _source(uri, distribution.codename, "stable", architecture, key)
    return {"name": "provision-docker", "key": f"{uri}/gpg", "key_file": key, "content": content}


def toolkit_source(architecture: str) -> Mapping[str, str]:
    """https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/install-guide.html."""
    uri, key = (
        "https://nvidia.github.io/libnvidia-container",
        "/etc/apt/keyrings/provision-nvidia-container-toolkit.asc",
    )
    content = _source(f"{uri}/stable/deb/{architecture}", "/", "", architecture, key)
    return {"name": "provision-nvidia-container-toolkit", "key": f"{uri}/gpgkey", "key_file": key, "content": content}


def non_free_source(distribution: Distribution, architecture: str) -> Mapping[str, str]:
    """Debian keeps drivers and firmware that are not free apart."""
    key = "/usr/share/keyrings/debian-archive-keyring.gpg"
    parts = "contrib non-free non-free-firmware"
    content = _source("http://deb.debian.org/debian", distribution.codename, parts, architecture, key)
    return {"name": "provision-non-free", "key": "", "key_file": key, "content": content}


def _source(uri: str, suite: str, components: str, architecture: str, key: str) -> str:
    lines = ["# made by provision", "Types: deb", f"URIs: {uri}", f"Suites: {suite}"]
    lines += [f"Components: {components}"] if components else []
    return "\n".join([*lines, f"Architectures: {architecture}", f"Signed-By: {key}", ""])


def nvidia_driver(
    distribution: Distribution, kernel: str, architecture: str, open_modules: bool, switches: int
) -> tuple[str, ...]:
    """Without a desktop. Ubuntu packages each branch for servers, Debian one driver."""
    if distribution.family == "ubuntu":
        kind = f"{BRANCH}-server{'-open' if open_modules else ''}"
        fabric = (f"nvidia-fabricmanager-{BRANCH}",) if switches else ()
        return (f"linux-headers-{kernel}", f"nvidia-headless-{kind}", f"nvidia-utils-{BRANCH}-server", *fabric)
    module = "nvidia-open-kernel-dkms" if open_modules else "nvidia-kernel-dkms"
    return (
        f"linux-headers-{architecture}",
        module,
        "nvidia-smi",
        "libcuda1",
        "nvidia-persistenced",
        "firmware-misc-nonfree",
    )


def amd_driver(distribution: Distribution) -> tuple[str, ...]:
    """The kernel has the module; the cards want their firmware."""
    return ("linux-firmware",) if distribution.family == "ubuntu" else ("firmware-amd-graphics",)
