"""Intel's graphics cards: from the kernel drivers' files, with Intel's `xpu-smi` for the names and the used memory."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.accelerators._reading import (
    BARE,
    address,
    distinct,
    document,
    objects,
    size,
    tables,
    told,
    whole,
    word,
)
from provisioner.model.answers import last, names, node, number, text
from provisioner.model.facts import Accelerator, Answers, AskAll, AskTools, CannotAsk, Fact, ReadFiles, Unknown
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

SUMMARY, DEVICES, SIZES = "xpu-smi", "xpu-smi discovery -j", "xpu-smi discovery --dump 1,2,11,16"
"""From version 2 the program alone prints a table with the used memory; 11 is the PCI address, 16 the memory."""
KUNLUNXIN = "XPU-RT Version"
INTEGRATED = "0000:00:02.0"
"""Where a processor of Intel's shows its own graphics."""
CARDS = "/sys/class/drm"
TILE = "tile*/physical_vram_size_bytes"
"""Of the xe driver; i915 publishes `lmem_total_bytes` in Intel's own builds."""
NAMES = {
    "0bd5": "Intel(R) Data Center GPU Max 1550", "0bda": "Intel(R) Data Center GPU Max 1100",
    "56a0": "Intel(R) Arc(TM) A770 Graphics", "56a1": "Intel(R) Arc(TM) A750 Graphics",
    "56c0": "Intel(R) Data Center GPU Flex 170", "56c1": "Intel(R) Data Center GPU Flex 140",
    "e20b": "Intel(R) Arc(TM) B580 Graphics", "e20c": "Intel(R) Arc(TM) B570 Graphics",
    "e211": "Intel(R) Arc(TM) Pro B60 Graphics", "e212": "Intel(R) Arc(TM) Pro B50 Graphics",
}  # fmt: skip
"""Intel's table of device ids (dgpu-docs.intel.com/devices/hardware-table.html), in the words of the compute driver."""
NAMELESS = re.compile(r"Intel\(R\) Graphics \[0x([0-9a-f]{4})\]")
"""What a compute driver says that is older than the card (intel/xpumanager#127)."""
ROW = re.compile(r"(\d{1,3})\s+(\S.*?)\s{2,}\S+$")
USE = re.compile(r"(\d{1,9}\s*MiB)\s*/\s*(\d{1,9}\s*MiB)")


@dataclass(frozen=True, slots=True)
class _Told:
    """What `xpu-smi` says of one device; `index` is its place in the order of Level Zero."""

    index: int
    name: str = ""
    uuid: str = ""
    memory_bytes: int | None = None
    free_bytes: int | None = None


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    tool, cards = _from_tool(answers), _cards(answers)
    places = sorted({*tool, *cards}, key=lambda place: (tool[place].index if place in tool else 1 << 16, place))
    if not places:
        raise CannotAsk(_nothing(answers))
    taken = {each.index for each in tool.values()}
    free = iter(index for index in range(len(places) + len(taken)) if index not in taken)
    return distinct([
        _device(answers, place, cards.get(place, ""), tool.get(place) or _Told(next(free))) for place in places
    ])  # fmt: skip


def _nothing(answers: Answers) -> str:
    if KUNLUNXIN in told(answers, SUMMARY):
        return "the xpu-smi that is installed is Kunlunxin's, and the kernel's driver shows no memory"
    output = answers.get(DEVICES)
    reason = output.reason if isinstance(output, Unknown) else "xpu-smi lists no device"
    return f"the kernel's driver shows no memory, and {reason}"


def _device(answers: Answers, place: str, folder: str, tool: _Told) -> Accelerator:
    integrated = place == INTEGRATED
    device_id = (text(answers, f"{folder}/device") or "").removeprefix("0x")
    nameless = NAMELESS.fullmatch(tool.name)
    known = NAMES.get(nameless[1] if nameless else device_id)
    name = (known if nameless or not tool.name else tool.name) or tool.name or f"Intel device {device_id}"
    total = tool.memory_bytes or _of_driver(answers, folder)
    shared = Unknown(f"{name} shares the host's memory")
    return replace(
        BARE,
        vendor="intel",
        name=name,
        uuid=tool.uuid,
        index=tool.index,
        memory_bytes=shared if integrated else total or Unknown("neither the driver nor xpu-smi tells the memory"),
        free_bytes=shared if integrated else _free(total, tool),
        pci=place,
        numa_node=node(answers, f"{folder}/numa_node"),
        processes=Unknown("xpu-smi counts a program's memory wrongly (intel/xpumanager#145)"),
        shares_host_memory=integrated,
    )


def _free(total: int | None, tool: _Told) -> int | Unknown:
    if total is None or tool.free_bytes is None:
        return Unknown("neither the driver nor xpu-smi tells the used memory")
    return min(total, tool.free_bytes)


def _cards(answers: Answers) -> dict[str, str]:
    """Intel's discrete cards that the kernel's driver shows memory of, by PCI address."""
    found = {}
    for name in names(answers, CARDS):
        folder = f"{CARDS}/{name}/device"
        place = last(answers, folder)
        if (
            place
            and place != INTEGRATED
            and text(answers, f"{folder}/vendor") == "0x8086"
            and _of_driver(answers, folder)
        ):
            found[place] = folder
    return found


def _of_driver(answers: Answers, folder: str) -> int | None:
    tiles = [name for name in names(answers, folder) if name.startswith("tile")] if folder else []
    sizes = [number(answers, f"{folder}/{tile}/physical_vram_size_bytes") or 0 for tile in tiles]
    return sum(sizes) or (number(answers, f"{folder.removesuffix('/device')}/lmem_total_bytes") if folder else None)


def _from_tool(answers: Answers) -> dict[str, _Told]:
    """By PCI address; what is Kunlunxin's is not understood."""
    if KUNLUNXIN in told(answers, SUMMARY):
        return {}
    used, sizes = _summary(told(answers, SUMMARY)), _sizes(told(answers, SIZES))
    found = {}
    for each in objects(document(told(answers, DEVICES)), "device_list"):
        index, place = whole(each.get("device_id")), address(word(each.get("pci_bdf_address")))
        if index is None or not place or each.get("device_function_type") == "virtual":
            continue
        total = size(each.get("memory_physical_size_byte")) or sizes.get(index)
        used_now, of = used.get(index, (None, None))
        free = size(each.get("memory_free_size_byte"))
        if free is None and of is not None and used_now is not None:
            free = max(0, of - used_now)
        found[place] = _Told(index, word(each.get("device_name")), word(each.get("uuid")), total or of, free)
    return found


def _summary(output: str) -> dict[int, tuple[int | None, int | None]]:
    """Used and total memory by device, of the table that version 2 prints."""
    found: dict[int, tuple[int | None, int | None]] = {}
    index = None
    for row in tables(output.splitlines()):
        named, memory = ROW.fullmatch(row[0]), USE.search(row[1]) if len(row) > 2 else None
        index = int(named[1]) if named and len(row) > 2 else index
        if index is not None and memory and index not in found:
            found[index] = (size(memory[1]), size(memory[2]))
    return found


def _sizes(output: str) -> dict[int, int]:
    """Memory by device, of lines with commas whose first names the columns."""
    import csv  # Only where a card is: it loads a dozen modules of which `detect` needs none.

    rows = [row for row in csv.reader(output.splitlines()) if row]
    header: Mapping[str, int] = next(
        ({name.strip(): at for at, name in enumerate(row)} for row in rows if row[0].strip() == "Device ID"), {}
    )
    at = header.get("Memory Physical Size")
    if at is None:
        return {}
    found = ((whole(row[0]), size(row[at], "MiB")) for row in rows if len(row) > at)
    return {index: memory for index, memory in found if index is not None and memory is not None}


def grant(_cards: tuple[Accelerator, ...]) -> "Grant":
    """All cards have one folder of files; which of them are used is said by a variable (docs.vllm.ai, installation on XPU)."""
    from provisioner.model.containers import Grant  # Detection has no use for it.

    return Grant(vendor="intel", nodes=("/dev/dri",), groups=("video",))


VENDOR = Vendor(
    name="intel",
    pci_vendor_ids=("8086",),
    probe=Fact(
        "accelerators.intel",
        AskAll((
            ReadFiles(
                (
                    *(f"{CARDS}/card*/device/{name}" for name in ("vendor", "device", "numa_node", TILE)),
                    f"{CARDS}/card*/lmem_total_bytes",
                ),
                (f"{CARDS}/card*/device",),
            ),
            AskTools((SUMMARY, DEVICES, SIZES)),
        )),
        parse,
        absent=(),
    ),
    visible_devices="ZE_AFFINITY_MASK",
    pci_classes=("03",),
    integrated=(INTEGRATED,),
    grant=grant,
)  # fmt: skip
