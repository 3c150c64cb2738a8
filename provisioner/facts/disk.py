"""Disks and the speed class that each declares: what the kernel says of rotation and transport, not a measurement."""

from provisioner.model.answers import last, names, node, number, text
from provisioner.model.facts import Answers, Disk, Fact, ReadFiles

ROOT = "/sys/block"
SECTOR = 512
"""The kernel counts sizes in these units, whatever the disk's own sectors are."""
NOT_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "mtdblock")
NETWORK_NAMES = ("nbd", "rbd", "drbd")
NETWORK_MODELS = ("Amazon Elastic Block Store", "PersistentDisk", "nvme_card-pd")
"""Network storage that shows itself as a local disk: Amazon's and Google's."""
FABRICS = ("tcp", "rdma", "fc", "loop")
"""Transports of NVMe that are not the PCI bus."""


def parse(answers: Answers) -> tuple[Disk, ...]:
    """Whole disks that hold something; loops, mappings and RAM disks are made of others and left out."""
    found = (_disk(answers, name) for name in names(answers, ROOT) if not name.startswith(NOT_DISKS))
    return tuple(disk for disk in found if disk.size_bytes > 0)


def _disk(answers: Answers, name: str) -> Disk:
    folder = f"{ROOT}/{name}/"
    rotational = number(answers, folder + "queue/rotational")
    parts = (text(answers, folder + "device/vendor"), text(answers, folder + "device/model"))
    words = [part for part in parts if part and not part.startswith("0x")]
    near = node(answers, folder + "device/numa_node")
    return Disk(
        name=name,
        size_bytes=(number(answers, folder + "size") or 0) * SECTOR,
        model=" ".join(words) or None,
        speed_class=_speed_class(answers, name, rotational),
        rotational=None if rotational is None else rotational == 1,
        removable=number(answers, folder + "removable") == 1,
        numa_node=near if near is not None else node(answers, folder + "device/device/numa_node"),
    )


def _speed_class(answers: Answers, name: str, rotational: int | None) -> str:
    """`network`, `virtual`, `nvme`, `flash`, `ssd` or `hdd`, as declared; `unknown` where nothing is."""
    folder = f"{ROOT}/{name}"
    place = text(answers, folder) or ""
    model = text(answers, folder + "/device/model") or ""
    over = text(answers, folder + "/device/transport")
    if name.startswith(NETWORK_NAMES) or "/session" in place or over in FABRICS or model.startswith(NETWORK_MODELS):
        return "network"
    if "/virtio" in place or name.startswith(("vd", "xvd")) or last(answers, folder + "/device/driver") == "virtio_blk":
        return "virtual"
    if name.startswith("nvme"):
        return "nvme"
    if name.startswith("mmcblk"):
        return "flash"
    return {0: "ssd", 1: "hdd"}.get(-1 if rotational is None else rotational, "unknown")


FACT: Fact[tuple[Disk, ...]] = Fact(
    name="disks",
    question=ReadFiles(
        files=(
            f"{ROOT}/*/size",
            f"{ROOT}/*/removable",
            f"{ROOT}/*/queue/rotational",
            f"{ROOT}/*/device/vendor",
            f"{ROOT}/*/device/model",
            f"{ROOT}/*/device/transport",
            f"{ROOT}/*/device/numa_node",
            f"{ROOT}/*/device/device/numa_node",
        ),
        links=(f"{ROOT}/*", f"{ROOT}/*/device/driver"),
    ),
    parse=parse,
    absent=(),
)
