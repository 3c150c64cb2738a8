"""Display controllers and accelerators as the PCI bus shows them, with or without a driver."""

from provisioner.model.answers import last, names, node, number, text
from provisioner.model.facts import Answers, Fact, PciDevice, ReadFiles

ROOT = "/sys/bus/pci/devices"
CLASSES = ("03", "12", "0b40")
"""Display controllers, processing accelerators, co-processors: Hygon's cards are the last kind."""
VENDORS = {
    "10de": "NVIDIA", "1002": "AMD", "8086": "Intel", "19e5": "Huawei", "1d94": "Hygon", "1d22": "Kunlunxin",
    "9999": "MetaX", "1ed5": "Moore Threads", "1da3": "Habana", "cabc": "Cambricon", "1e36": "Enflame",
    "1e3e": "Iluvatar", "1ded": "Alibaba", "17cb": "Qualcomm", "1a03": "ASPEED", "102b": "Matrox",
    "1013": "Cirrus Logic", "1bcf": "NEC", "1af4": "Red Hat", "1b36": "Red Hat", "15ad": "VMware", "1414": "Microsoft", "1234": "QEMU",
}  # fmt: skip
"""From the PCI ID database; MetaX, Cambricon and Iluvatar by the PCI-SIG's list of members, as gpustack-runtime cites it."""
NAMES = {
    "10de:1db1": "Tesla V100 SXM2 16GB", "10de:1db4": "Tesla V100 PCIe 16GB", "10de:1db5": "Tesla V100 SXM2 32GB",
    "10de:1db6": "Tesla V100 PCIe 32GB", "10de:1eb8": "Tesla T4", "10de:20b0": "A100 SXM4 40GB",
    "10de:20b2": "A100 SXM4 80GB", "10de:20b5": "A100 PCIe 80GB", "10de:20b7": "A30 PCIe", "10de:20f1": "A100 PCIe 40GB",
    "10de:20f3": "A800-SXM4-80GB", "10de:20f5": "A800 80GB PCIe", "10de:2204": "GeForce RTX 3090",
    "10de:2235": "A40", "10de:2236": "A10", "10de:2237": "A10G", "10de:2322": "H800 PCIe", "10de:2324": "H800",
    "10de:2330": "H100 SXM5 80GB", "10de:2331": "H100 PCIe", "10de:2684": "GeForce RTX 4090",
    "1002:738c": "Instinct MI100", "1002:7408": "Instinct MI250X", "1002:740f": "Instinct MI210",
    "1d22:3684": "Kunlun AI Accelerator", "1d22:3685": "Kunlun2 AI Accelerator [VF]",
}  # fmt: skip
"""From the PCI ID database (pci.ids of 2023-04-11, BSD-3-Clause or GPL-2+)."""


def parse_classes(answers: Answers) -> tuple[str, ...]:
    """Addresses of the devices that draw or compute."""
    found = (address for address in names(answers, ROOT) if _class(answers, address).startswith(CLASSES))
    return tuple(found)


def _class(answers: Answers, address: str) -> str:
    """`0x030200` without its prefix."""
    return (text(answers, f"{ROOT}/{address}/class") or "").removeprefix("0x")


ADDRESSES: Fact[tuple[str, ...]] = Fact(
    name="pci",
    question=ReadFiles((f"{ROOT}/*/class",)),
    parse=parse_classes,
    absent=(),
)
DETAILS = (
    "class", "vendor", "device", "numa_node",
    "current_link_speed", "current_link_width", "max_link_speed", "max_link_width",
)  # fmt: skip


def at(addresses: tuple[str, ...]) -> Fact[tuple[PciDevice, ...]]:
    """The question what these devices are."""
    return Fact(
        name="pci",
        question=ReadFiles(
            files=tuple(f"{ROOT}/{address}/{name}" for address in addresses for name in DETAILS),
            links=tuple(f"{ROOT}/{address}/driver" for address in addresses),
        ),
        parse=parse,
        absent=(),
    )


def parse(answers: Answers) -> tuple[PciDevice, ...]:
    return tuple(_device(answers, address) for address in names(answers, ROOT))


def _device(answers: Answers, address: str) -> PciDevice:
    folder = f"{ROOT}/{address}/"
    vendor = (text(answers, folder + "vendor") or "").removeprefix("0x").lower()
    device = (text(answers, folder + "device") or "").removeprefix("0x").lower()
    return PciDevice(
        address=address,
        vendor_id=vendor,
        device_id=device,
        class_id=_class(answers, address),
        vendor=VENDORS.get(vendor),
        name=NAMES.get(f"{vendor}:{device}"),
        driver=last(answers, folder + "driver"),
        numa_node=node(answers, folder + "numa_node"),
        link_gts=_speed(text(answers, folder + "current_link_speed")),
        link_width=number(answers, folder + "current_link_width"),
        max_link_gts=_speed(text(answers, folder + "max_link_speed")),
        max_link_width=number(answers, folder + "max_link_width"),
    )


def _speed(line: str | None) -> float | None:
    """`16.0 GT/s PCIe`; `Unknown` on a bus that has no links, or whose device is asleep."""
    word = (line or "").split(" ", 1)[0]
    return float(word) if word.replace(".", "", 1).isdecimal() else None
