"""Huawei's Ascend NPUs, as `npu-smi` prints them: two lines a chip, and one or two chips a card."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from provisioner.accelerators._reading import BARE, address, tables, told, whole, why
from provisioner.model.facts import Accelerator, Answers, AskTools, CannotAsk, DeviceProcess, Fact, Link, Unknown
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

INFO, MAPPING, TOPOLOGY, BOARD = (
    "npu-smi info",
    "npu-smi info -m",
    "npu-smi info -t topo",
    "npu-smi info -t board -i 0 -c 0",
)
MIB = 1 << 20
BUS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
USE = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})")
VERSION = re.compile(r"npu-smi\s+\S+\s+Version:\s*(\S+)")
FIRST_GENERATION = ("910A", "910B", "910ProA", "910ProB", "910PremiumA")
"""Ascend 910 of 2019: `910B` without a digit is one of them, and no 910B of the second generation."""
FAST = ("HCCS", "HCCS_SW", "SIO")
"""Links between chips that are not PCIe; SIO joins the two chips of one card."""


@dataclass(frozen=True, slots=True)
class _Chip:
    npu: int
    chip: int
    physical: int | None
    """Its number among all chips of the machine: only told where a card has two."""
    name: str
    health: str
    bus: str
    used_mib: int | None
    total_mib: int | None


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    rows = [*tables(told(answers, INFO).splitlines())]
    chips = _chips(rows)
    if not chips:
        raise CannotAsk(why(answers, INFO))
    logical, named, version = _mapping(answers), _board_name(answers), VERSION.search(told(answers, INFO))
    indices = {(each.npu, each.chip): logical.get((each.npu, each.chip), (at, ""))[0] for at, each in enumerate(chips)}
    if len(set(indices.values())) < len(chips):
        indices = {(each.npu, each.chip): at for at, each in enumerate(chips)}
    pairs = {each.npu: sum(other.npu == each.npu for other in chips) for each in chips}
    links, processes = _links(answers, chips, indices), _processes(rows)
    found = (
        replace(
            _device(each, indices[each.npu, each.chip], named),
            links=links.get((each.npu, each.chip), ()),
            processes=processes if isinstance(processes, Unknown) else tuple(processes.get((each.npu, each.chip), ())),
            part_of=f"NPU {each.npu}, chip {each.chip}" if pairs[each.npu] > 1 else None,
            driver=version[1] if version else None,
        )
        for each in chips
    )
    return tuple(sorted(found, key=lambda device: device.index))


def _chips(rows: Sequence[tuple[str, ...]]) -> list[_Chip]:
    """A line with name and health, then one with bus address and memory."""
    found: list[_Chip] = []
    for first, second in pairwise(rows):
        upper, lower = first[0].split(), second[0].split()
        if len(first) < 3 or len(second) < 3 or not BUS.fullmatch(second[1]) or BUS.fullmatch(first[1]):
            continue
        numbers = [whole(each) for each in lower]
        npu, chip = (whole(upper[0]) if upper else None), (numbers[0] if numbers else None)
        if npu is not None and chip is not None and all((each.npu, each.chip) != (npu, chip) for each in found):
            used, total = _memory(second[2])
            physical = numbers[1] if len(numbers) > 1 else None
            found.append(_Chip(npu, chip, physical, " ".join(upper[1:]), first[1], address(second[1]), used, total))
    return found


def _memory(cell: str) -> tuple[int | None, int | None]:
    """Used and total MiB: of HBM, which comes last, or of what stands before it on cards without HBM (310P)."""
    pairs = [(int(used), int(total)) for used, total in USE.findall(cell)]
    return next((pair for pair in reversed(pairs) if pair[1]), (None, None))


def _device(each: _Chip, index: int, board: str) -> Accelerator:
    name = _name(each.name, board)
    sick = each.health.upper() not in ("OK", "NA", "-", "")
    return replace(
        BARE,
        vendor="ascend",
        name=name,
        index=index,
        memory_bytes=Unknown("npu-smi does not tell the memory") if each.total_mib is None else each.total_mib * MIB,
        free_bytes=Unknown("npu-smi does not tell the used memory")
        if each.total_mib is None or each.used_mib is None
        else max(0, each.total_mib - each.used_mib) * MIB,
        pci=each.bus,
        architecture=_architecture(name),
        problem=f"npu-smi: health {each.health}" if sick else None,
    )


def _name(name: str, board: str) -> str:
    """`910B4` tells itself; later generations need the board's `NPU Name`, which `npu-smi info` leaves out: `Ascend910_9392`."""
    if name in FIRST_GENERATION:
        return f"Ascend {name} (2019)"
    return f"{name}_{board}" if board and name.startswith("Ascend") else name or "Ascend NPU"


def _architecture(name: str) -> str | None:
    families = (
        ("Ascend 910", "Ascend910A"),
        ("910B", "Ascend910B"),
        ("Ascend910", "Ascend910C"),
        ("Ascend950", "Ascend950"),
        ("310P", "Ascend310P"),
    )
    return next((family for start, family in families if name.startswith(start)), None)


def _mapping(answers: Answers) -> dict[tuple[int, int], tuple[int, str]]:
    """NPU and chip to the number that `ASCEND_RT_VISIBLE_DEVICES` takes. The row of a controller has `-` there."""
    found = {}
    for line in told(answers, MAPPING).splitlines():
        words = line.split()
        numbers = [whole(each) for each in words[:3]]
        if len(numbers) == 3 and None not in numbers:
            npu, chip, logical = (each for each in numbers if each is not None)
            found[npu, chip] = (logical, words[-1])
    return found


def _board_name(answers: Answers) -> str:
    """The four digits after `NPU Name`, of the first card: the cards of one server are alike."""
    for line in told(answers, BOARD).splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() == "npu name":
            return value.strip() if value.strip().isalnum() else ""
    return ""


def _processes(rows: Sequence[tuple[str, ...]]) -> Mapping[tuple[int, int], list[DeviceProcess]] | Unknown:
    """The table below the chips: NPU and chip, process, its name, MiB of the device."""
    if not any("Process id" in cell for row in rows for cell in row):
        return Unknown("npu-smi does not tell who uses the device")
    found: dict[tuple[int, int], list[DeviceProcess]] = {}
    for row in rows:
        place, process = [whole(each) for each in row[0].split()], whole(row[1]) if len(row) > 3 else None
        if process is not None and len(place) == 2 and None not in place:
            npu, chip = (each for each in place if each is not None)
            used = whole(row[3])
            holder = DeviceProcess(process, row[2] or None, None if used is None else used * MIB)
            found.setdefault((npu, chip), []).append(holder)
    return found


def _links(
    answers: Answers, chips: Sequence[_Chip], indices: Mapping[tuple[int, int], int]
) -> dict[tuple[int, int], tuple[Link, ...]]:
    """A matrix of words, its columns named `NPU0`, or `Phy-ID0` where a card has two chips."""
    keys = {f"NPU{each.npu}": (each.npu, each.chip) for each in reversed(chips)}
    keys |= {f"Phy-ID{each.physical}": (each.npu, each.chip) for each in chips if each.physical is not None}
    columns: list[tuple[int, int] | None] = []
    found: dict[tuple[int, int], tuple[Link, ...]] = {}
    for line in told(answers, TOPOLOGY).splitlines():
        words = line.split()
        labels = [word for word in words if word.startswith(("NPU", "Phy-ID"))]
        if len(labels) > 1:
            columns = [keys.get(label) for label in labels]
        elif words and columns and keys.get(words[0]):
            ways = [
                _link(indices[to], hops)
                for to, hops in zip(columns, words[1:], strict=False)
                if to is not None and hops != "X"
            ]
            found[keys[words[0]]] = tuple(sorted(ways, key=lambda link: link.to))
    return found


def _link(to: int, hops: str) -> Link:
    return Link(to, "hccs" if hops in FAST else "pcie", hops, None, True if hops in FAST else None)


FROM_THE_DRIVER = (
    "/usr/local/dcmi", "/usr/local/bin/npu-smi", "/usr/local/Ascend/driver/lib64", "/usr/local/Ascend/driver/version.info",
    "/etc/ascend_install.info",
)  # fmt: skip
"""What images of CANN expect of the host (docs.vllm.ai/projects/ascend, installation)."""


def grant(cards: tuple[Accelerator, ...]) -> "Grant":
    """Each card has a file; inside, those that are there are counted from 0 (docs.vllm.ai/projects/ascend, installation)."""
    from provisioner.model.containers import Grant, Mount  # Detection has no use for it.

    managing = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
    return Grant(
        vendor="ascend",
        nodes=(*(f"/dev/davinci{card.index}" for card in cards), *managing),
        mounts=tuple(Mount(path, path) for path in FROM_THE_DRIVER),
        env={"ASCEND_RT_VISIBLE_DEVICES": ",".join(str(at) for at, _ in enumerate(cards))},
        resource="huawei.com/Ascend910",
    )


VENDOR = Vendor(
    name="ascend",
    pci_vendor_ids=("19e5",),
    probe=Fact(
        "accelerators.ascend",
        AskTools(
            (INFO, MAPPING, TOPOLOGY, BOARD), ("/usr/local/sbin", "/usr/local/bin", "/usr/local/Ascend/driver/tools")
        ),
        parse,
        absent=(),
    ),
    visible_devices="ASCEND_RT_VISIBLE_DEVICES",
    pci_classes=("12",),
    nodes=("davinci",),
    interface_variables=("HCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME"),
    grant=grant,
)
