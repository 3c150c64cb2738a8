"""Hygon's DCUs, as `hy-smi` tells of them: a descendant of `rocm-smi` whose labels changed from DCU to HCU."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.accelerators import _kfd
from provisioner.accelerators._reading import BARE, address, document, size, told, whole, why, word
from provisioner.model.answers import text
from provisioner.model.facts import (
    Accelerator,
    Answers,
    AskAll,
    AskTools,
    CannotAsk,
    DeviceProcess,
    Fact,
    Link,
    ReadFiles,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

VENDOR_ID = 0x1D94
CARDS, AVAILABLE, TOPOLOGY = (
    "hy-smi --showproductname --showbus --showmeminfo vram --json",
    "hy-smi --showmemavailable --json",
    "hy-smi --showtopo",
)
MODULES = "/sys/module/hycu/version", "/sys/module/hydcu/version"
LINE = re.compile(r"^(?:HCU|DCU|GPU)\s*\[?\s*(\d{1,3})\s*\]?\s*:\s*([^:]+?)\s*:\s*(.+?)\s*$")
CARD = re.compile(r"card(\d{1,3})")
LABEL = re.compile(r"(?:HCU|DCU|GPU)(\d{1,3})")
Fields = Mapping[str, str]


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    cards, available = _fields(told(answers, CARDS)), _fields(told(answers, AVAILABLE))
    if not cards:
        raise CannotAsk(why(answers, CARDS))
    nodes = {node.card: node for node in _kfd.nodes(answers, VENDOR_ID)}
    links = _links(told(answers, TOPOLOGY), frozenset(cards))
    return tuple(
        _device(answers, index, {**available.get(index, {}), **cards[index]}, nodes, links.get(index, ()))
        for index in sorted(cards)
    )


def _fields(output: str) -> dict[int, Fields]:
    """Fields by card: from JSON, or from lines such as `HCU[0] : Card Series: K100_AI`. Names in lower case."""
    found = document(output)
    if isinstance(found, dict):
        named = {CARD.fullmatch(str(key)): value for key, value in found.items()}
        return {
            int(card[1]): {str(key).lower(): str(item) for key, item in value.items()}
            for card, value in named.items()
            if card and isinstance(value, dict)
        }
    cards: dict[int, dict[str, str]] = {}
    for line in map(LINE.match, output.splitlines()):
        if line:
            cards.setdefault(int(line[1]), {})[line[2].lower()] = line[3]
    return dict(cards)


def _device(
    answers: Answers, index: int, fields: Fields, nodes: Mapping[str, _kfd.Node], links: tuple[Link, ...]
) -> Accelerator:
    place = address(_field(fields, "pci bus"))
    node = nodes.get(place)
    total = _amount(fields, "vram total memory") or (node.memory_bytes if node else None)
    return replace(
        BARE,
        vendor="hygon",
        name=_field(fields, "card series") or _field(fields, "card model") or "Hygon DCU",
        uuid=node.uuid if node else "",
        index=index,
        memory_bytes=_total(total, fields),
        free_bytes=_free(total, fields),
        pci=place,
        links=links,
        processes=_processes(answers, node),
        architecture=node.architecture if node else None,
        driver=next((found for module in MODULES if (found := text(answers, module))), None),
    )


def _total(total: int | None, fields: Fields) -> int | Unknown:
    """What is available is free memory: it is never taken for the total."""
    if total is not None:
        return total
    only_free = _amount(fields, "available memory size") is not None
    return Unknown(f"hy-smi tells {'only the available' if only_free else 'no'} memory")


def _free(total: int | None, fields: Fields) -> int | Unknown:
    used, available = _amount(fields, "vram total used memory"), _amount(fields, "available memory size")
    if total is not None and used is not None:
        return max(0, total - used)
    if available is None:
        return Unknown("hy-smi does not tell the used memory")
    return available if total is None else min(total, available)


def _processes(answers: Answers, node: _kfd.Node | None) -> tuple[DeviceProcess, ...] | Unknown:
    if node is None:
        return Unknown("the driver does not tell who uses the device")
    held = _kfd.held(answers, node)
    if isinstance(held, Unknown):
        return held
    return tuple(DeviceProcess(process, None, used) for process, used in sorted(held.items()) if used)


def _field(fields: Fields, name: str) -> str:
    return word(fields.get(name))


def _amount(fields: Fields, name: str) -> int | None:
    """The unit stands in the field's name: `vram Total Memory (MiB)`, in other versions `VRAM Total Memory (B)`."""
    for key, value in fields.items():
        stem, bracket, unit = key.partition(" (")
        if stem == name and bracket:
            return size(value, unit.rstrip(")"))
    return None


def _links(output: str, cards: frozenset[int]) -> dict[int, tuple[Link, ...]]:
    """The matrix of link types, its rows and columns named `HCU0`; other matrices of that output hold numbers."""
    columns: list[int] = []
    found: dict[int, tuple[Link, ...]] = {}
    for line in output.splitlines():
        words = line.split()
        labels = [LABEL.fullmatch(each) for each in words]
        if len(words) > 1 and all(labels):
            columns = [int(label[1]) for label in labels if label]
        elif (
            words
            and labels[0]
            and len(words) == len(columns) + 1
            and not all(whole(each) is not None for each in words[1:])
        ):
            ways = [
                (to, kind) for to, kind in zip(columns, words[1:], strict=True) if to in cards and whole(kind) is None
            ]
            found[int(labels[0][1])] = tuple(_link(to, kind) for to, kind in ways if kind in ("XGMI", "PCIE"))
    return found


def _link(to: int, kind: str) -> Link:
    return Link(to, "xgmi", "XGMI", None, True) if kind == "XGMI" else Link(to, "pcie", "unknown", None, None)


def grant(_cards: tuple[Accelerator, ...]) -> "Grant":
    """As AMD's, and the driver's libraries of the host (dynamia.ai/blog/open-source-vgpu-hami-k8s-vdcu; images of its DTK)."""
    from provisioner.model.containers import Grant, Mount  # Detection has no use for it.

    return Grant(
        vendor="hygon",
        nodes=("/dev/kfd", "/dev/mkfd", "/dev/dri"),
        mounts=(Mount("/opt/hyhal", "/opt/hyhal"),),
        groups=("video",),
        resource="hygon.com/dcunum",
    )


VENDOR = Vendor(
    name="hygon",
    pci_vendor_ids=(f"{VENDOR_ID:04x}",),
    probe=Fact(
        "accelerators.hygon",
        AskAll((
            ReadFiles((*_kfd.FILES, *MODULES)),
            AskTools((CARDS, AVAILABLE, TOPOLOGY), ("/opt/hyhal/bin", "/opt/dtk/bin")),
        )),
        parse,
        absent=(),
    ),
    visible_devices="HIP_VISIBLE_DEVICES",
    nodes=("mkfd", "hycu"),
    grant=grant,
)  # fmt: skip
