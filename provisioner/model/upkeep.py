"""What drifts apart on a machine while it runs: packages, libraries, configurations. `detect` does not ask for them."""

from collections.abc import Mapping

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    held: bool
    """Whether its version is kept as it is when the others are upgraded."""

    @property
    def upstream(self) -> str:
        """The maker's own version: without the epoch before it, and without the distribution's revision behind it."""
        return self.version.rpartition(":")[2].partition("-")[0].partition("+")[0]


DRIVER = (
    "amdgpu-dkms", "cuda-drivers", "libcuda1", "libnvidia", "linux-modules-nvidia", "linux-objects-nvidia", "nvidia",
    "xserver-xorg-video-nvidia",
)  # fmt: skip
NOT_OF_IT = ("libnvidia-container", "nvidia-container", "nvidia-docker")
"""The container toolkit is not bound to the driver's version, and its upgrades close holes."""


def is_driver(package: str) -> bool:
    """Whether a package is part of a driver for cards, by its name."""
    return package.startswith(DRIVER) and not package.startswith(NOT_OF_IT)


def version_number(version: str) -> tuple[int, ...]:
    """`535.183.01` as numbers that compare; what is no number ends it."""
    parts = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        parts.append(int(part))
    return tuple(parts)


@dataclass(frozen=True, slots=True)
class DockerConfiguration:
    """What the file says; the engine that runs may have been started before it was written."""

    runtimes: tuple[str, ...]
    default_runtime: str | None
    cgroup_driver: str | None
    broken: str | None = None
    """Why it cannot be understood; the engine will not start with it again."""


@dataclass(frozen=True, slots=True)
class DeviceInterface:
    """One file of the Container Device Interface: the devices that it describes, and the driver that it was made for."""

    path: str
    kind: str
    devices: tuple[str, ...]
    drivers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AutomaticUpgrades:
    on: bool
    spared: tuple[str, ...]
    """Patterns of packages that they leave alone."""


@dataclass(frozen=True, slots=True)
class ImageNeed:
    """What an image asks of the driver: the CUDA it was built with, and the condition that its maker wrote into it."""

    cuda: str | None
    requires: str | None


@dataclass(frozen=True, slots=True)
class Upkeep:
    packages: tuple[Package, ...] | None | Unknown
    """Those of drivers and container engines; None where no package database that we read is there."""
    libraries: tuple[str, ...] | Unknown
    """The versions of NVIDIA's driver in user space; more than one is a mixture."""
    docker_configuration: DockerConfiguration | None | Unknown
    interfaces: tuple[DeviceInterface, ...] | Unknown
    upgrades: AutomaticUpgrades | None | Unknown
    switches: int | Unknown
    """NVSwitch chips on the bus."""
    programs: frozenset[str] | Unknown
    """The names of all processes, as the kernel cuts them: fifteen letters."""
    kernels: Mapping[str, bool] | Unknown
    """Each installed kernel, and whether it has NVIDIA's module."""
    kubelet_cgroups: str | None | Unknown
    containerd_cgroups: str | None | Unknown
    device_links: bool | Unknown
    """Whether /dev/char shows NVIDIA's devices, where a service manager looks for them."""
    images: Mapping[str, ImageNeed] | Unknown


@dataclass(frozen=True, slots=True)
class NotLooked:
    """A fact that was wanted and could not be had."""

    fact: str
    reason: str


@dataclass(frozen=True, slots=True)
class Examined:
    """What `doctor` found on a machine, and what it could not look at."""

    hostname: str
    release: str | None
    """The one in force, whose needs were looked at too."""
    findings: tuple[Finding, ...]
    not_looked: tuple[NotLooked, ...]
