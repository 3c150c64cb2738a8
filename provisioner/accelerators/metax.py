"""MetaX's cards, as `mx-smi` prints them: two lines a card."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from provisioner.accelerators._reading import BARE, address, tables, told, whole, why
from provisioner.model.facts import Accelerator, Answers, AskTools, CannotAsk, DeviceProcess, Fact, Unknown
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

INFO = "mx-smi"
MIB = 1 << 20
BUS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f]")
USE = re.compile(r"(\d{1,9})\s*/\s*(\d{1,9})\s*MiB")
DRIVER = re.compile(r"Kernel Mode Driver Version:\s*(\S+)")
NAME = re.compile(r"(\d{1,4})\s+(\S.*)")


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    output = told(answers, INFO)
    rows = [*tables(output.splitlines())]
    holders, version = _processes(rows), DRIVER.search(output)
    found: dict[int, Accelerator] = {}
    for first, second in pairwise(rows):
        named = NAME.fullmatch(first[0]) if len(first) > 2 and BUS.fullmatch(first[1]) else None
        if named and len(second) > 2:
            index = int(named[1])
            card = replace(_memory(second[1]), vendor="metax", name=named[2], index=index, pci=address(first[1]))
            held = holders if isinstance(holders, Unknown) else tuple(holders.get(index, ()))
            found[index] = replace(card, processes=held, driver=version[1] if version else None)
    if not found:
        raise CannotAsk(why(answers, INFO))
    return tuple(found[index] for index in sorted(found))


def _memory(cell: str) -> Accelerator:
    """Used and total; newer versions write the state of the card in the cell beside it."""
    pair = USE.search(cell)
    if not pair:
        nothing = Unknown("mx-smi does not tell the memory")
        return replace(BARE, memory_bytes=nothing, free_bytes=nothing)
    used, total = int(pair[1]) * MIB, int(pair[2]) * MIB
    return replace(BARE, memory_bytes=total, free_bytes=max(0, total - used))


def _processes(rows: Sequence[tuple[str, ...]]) -> dict[int, list[DeviceProcess]] | Unknown:
    """Below `Process:`, a line each: card, process, name, MiB."""
    starts = [at for at, row in enumerate(rows) if row[0].startswith("Process")]
    if not starts:
        return Unknown("mx-smi does not tell who uses the device")
    found: dict[int, list[DeviceProcess]] = {}
    for row in rows[starts[0] :]:
        words = row[0].split()
        numbers = [whole(words[at]) for at in (0, 1, -1)] if len(words) > 3 else []
        if numbers and None not in numbers:
            index, process, used = (each for each in numbers if each is not None)
            name = words[2].rpartition("/")[2]
            found.setdefault(index, []).append(DeviceProcess(process, name, used * MIB))
    return found


def grant(_cards: tuple[Accelerator, ...]) -> "Grant":
    """All cards have one door; which of them are used is said by a variable (vllm-metax.readthedocs.io, installation)."""
    from provisioner.model.containers import Grant  # Detection has no use for it.

    return Grant(vendor="metax", nodes=("/dev/dri", "/dev/mxcd"), groups=("video",), resource="metax-tech.com/gpu")


VENDOR = Vendor(
    name="metax",
    pci_vendor_ids=("9999",),
    probe=Fact("accelerators.metax", AskTools((INFO,), ("/opt/mxdriver/bin", "/opt/maca/bin")), parse, absent=()),
    visible_devices="CUDA_VISIBLE_DEVICES",
    nodes=("mxcd",),
    grant=grant,
)
