"""Installed packages of drivers and container engines, as Debian's package manager keeps them: name, version, hold."""

from collections.abc import Iterator

from provisioner.model.answers import pairs, text
from provisioner.model.facts import Answers, Fact, ReadFiles
from provisioner.model.upkeep import Package

STATUS = "/var/lib/dpkg/status"
WANTED = (
    "amdgpu", "chrony", "containerd", "cuda-drivers", "docker", "firmware-", "libcuda1", "libnvidia", "linux-firmware",
    "linux-headers", "linux-modules-nvidia", "linux-objects-nvidia", "nftables", "nvidia", "systemd-timesyncd",
    "unattended-upgrades", "xserver-xorg-video-nvidia",
)  # fmt: skip
"""How their names begin."""


def parse(answers: Answers) -> tuple[Package, ...]:
    """Of each paragraph that begins `Package: …`, those that are installed."""
    status = text(answers, STATUS)
    if status is None:
        raise ValueError(f"{STATUS} cannot be read")
    return tuple(_installed(status))


def _installed(status: str) -> Iterator[Package]:
    for paragraph in status.split("\n\n"):
        name = paragraph.lstrip("\n").removeprefix("Package: ").partition("\n")[0].strip()
        if not name.startswith(WANTED):
            continue
        fields = pairs(paragraph, ":")
        wanted, _, state = fields.get("Status", "").partition(" ")
        if state.endswith(" installed") and "Version" in fields:
            yield Package(name, fields["Version"], wanted == "hold")


FACT: Fact[tuple[Package, ...] | None] = Fact("packages", ReadFiles((STATUS,)), parse, absent=None)
