"""Kunlunxin's XPUs, as their `xpu-smi` prints them. Intel has a program of the same name: the banner tells them apart."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from provisioner.accelerators._reading import BARE, address, distinct, size, tables, told, whole, why
from provisioner.model.answers import last
from provisioner.model.facts import (
    Accelerator,
    Answers,
    AskAll,
    AskTools,
    CannotAsk,
    DeviceProcess,
    Fact,
    ReadFiles,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

INFO, OLD_INFO = "xpu-smi", "xpu_smi"
"""The program, and its name in older packages (PaddlePaddle's guide for P800)."""
BANNER = "XPU-RT Version"
ROOT = "/sys/bus/pci/devices"
BUS = re.compile(r"([0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-9A-Fa-f])\s")
USE = re.compile(r"(\d{1,9}\s*MiB)\s*/\s*(\d{1,9}\s*MiB)")
DRIVER = re.compile(r"Driver Version:\s*(\S+)")
NAME = re.compile(r"(\d{1,4})\s+(\S.*?)\s{2,}\S+$")
VIRTUAL = " VF"


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    output = next((text for text in (told(answers, INFO), told(answers, OLD_INFO)) if BANNER in text), "")
    if not output and (INFO in answers and told(answers, INFO)):
        raise CannotAsk("the xpu-smi that is installed is not Kunlunxin's: its banner names no XPU-RT")
    rows = [*tables(output.splitlines())]
    version = DRIVER.search(output)
    found = _less_what_is_given_away(distinct(_devices(answers, rows, version[1] if version else None)))
    if not found:
        raise CannotAsk(why(answers, INFO))
    return found


def _devices(answers: Answers, rows: Sequence[tuple[str, ...]], driver: str | None) -> list[Accelerator]:
    """Three lines a device: name and bus, then power and memory, then the on-chip cache, which is no memory."""
    holders = _processes(rows)
    found = []
    for first, second in pairwise(rows):
        named, bus = NAME.fullmatch(first[0]), BUS.match(first[1] + " ") if len(first) > 1 else None
        memory = USE.search(second[1]) if len(second) > 1 else None
        if named and bus:
            index, place = int(named[1]), address(bus[1])
            found.append(
                replace(
                    _memory(memory),
                    vendor="kunlun",
                    name=named[2],
                    index=index,
                    pci=place,
                    processes=holders if isinstance(holders, Unknown) else tuple(holders.get(index, ())),
                    part_of=_part(answers, named[2], place),
                    driver=driver,
                )
            )
    return found


def _memory(found: re.Match[str] | None) -> Accelerator:
    used, total = (size(found[1]), size(found[2])) if found else (None, None)
    if used is None or total is None:
        nothing = Unknown("xpu-smi does not tell the memory")
        return replace(BARE, memory_bytes=nothing, free_bytes=nothing)
    return replace(BARE, memory_bytes=total, free_bytes=max(0, total - used))


def _part(answers: Answers, name: str, place: str) -> str | None:
    """A virtual function is a part of a card: it has half the memory, and is listed as a device of its own."""
    card = last(answers, f"{ROOT}/{place}/physfn")
    return f"{card or 'a card'}, virtual function" if card or name.endswith(VIRTUAL) else None


def _less_what_is_given_away(found: tuple[Accelerator, ...]) -> tuple[Accelerator, ...]:
    """A card goes on to show all of its memory as free when half of it belongs to a virtual function (Project-HAMi/HAMi#1548)."""
    given: dict[str, int] = {}
    for each in found:
        if each.part_of and not isinstance(each.memory_bytes, Unknown):
            card = each.pci.rpartition(".")[0]
            given[card] = given.get(card, 0) + each.memory_bytes
    return tuple(
        each
        if each.part_of or isinstance(each.free_bytes, Unknown)
        else replace(each, free_bytes=max(0, each.free_bytes - given.get(each.pci.rpartition(".")[0], 0)))
        for each in found
    )


def _processes(rows: Sequence[tuple[str, ...]]) -> dict[int, list[DeviceProcess]] | Unknown:
    """`|   0   N/A  N/A      1234      C   python3        1000MiB |` below a line that begins with `Processes:`."""
    starts = [at for at, row in enumerate(rows) if row[0].startswith("Processes")]
    if not starts:
        return Unknown("xpu-smi does not tell who uses the device")
    found: dict[int, list[DeviceProcess]] = {}
    for row in rows[starts[0] :]:
        words = row[0].split()
        numbers = [each for each in map(whole, words[1:-1]) if each is not None]
        used = size(words[-1]) if words and words[-1].endswith("MiB") else None
        index = whole(words[0]) if words else None
        if index is not None and numbers and used is not None:
            found.setdefault(index, []).append(DeviceProcess(numbers[-1], words[-2].rpartition("/")[2], used))
    return found


def grant(cards: tuple[Accelerator, ...]) -> "Grant":
    """A file for each card and one for all (opendatalab.github.io/MinerU, acceleration cards, Kunlunxin)."""
    from provisioner.model.containers import Grant, Mount  # Detection has no use for it.

    return Grant(
        vendor="kunlun",
        nodes=(*(f"/dev/xpu{card.index}" for card in cards), "/dev/xpuctrl"),
        mounts=(Mount("/usr/local/bin/xpu-smi", "/usr/local/bin/xpu-smi"),),
        env={"XPU_VISIBLE_DEVICES": ",".join(str(at) for at, _ in enumerate(cards))},
    )


VENDOR = Vendor(
    name="kunlun",
    pci_vendor_ids=("1d22",),
    probe=Fact(
        "accelerators.kunlun",
        AskAll((
            ReadFiles((), (f"{ROOT}/*/physfn",)),
            AskTools((INFO, OLD_INFO), ("/usr/local/bin", "/usr/local/xpu/bin", "/usr/local/xpu/tools")),
        )),
        parse,
        absent=(),
    ),
    visible_devices="XPU_VISIBLE_DEVICES",
    nodes=("xpu",),
    grant=grant,
)  # fmt: skip
