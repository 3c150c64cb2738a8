"""NVIDIA's cards, as the driver's library tells of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from provisioner.model.facts import Accelerator, Answers, AskNvml, DeviceProcess, Fact, Link, Mig, Unknown
from provisioner.model.plugins import Vendor

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

Card = Mapping[str, object]

HOPS = {0: "same board", 10: "PIX", 20: "PXB", 30: "PHB", 40: "NODE", 50: "SYS"}
"""`nvmlGpuTopologyLevel_t` of nvml.h, in the words of `nvidia-smi topo -m`."""
SWITCH = 2
"""`NVML_NVLINK_DEVICE_TYPE_SWITCH` of nvml.h: every card behind it reaches every other."""
UNIFIED_MEMORY = "GB10", "Orin", "Thor", "Jetson"
"""Machines whose card has no memory of its own."""


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    """Every card that NVML counts, also one that gives no answer: it keeps its place, with the problem stated."""
    answer = answers["nvml"]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    document = json.loads(answer)
    cards = _list(document.get("devices")) if isinstance(document, dict) else []
    known = [card for card in cards if isinstance(card, dict)]
    return tuple(_card(card, known) for card in known)


def _card(card: Card, cards: Sequence[Card]) -> Accelerator:
    problem = _reason(card)
    name = _word(card.get("name")) or "NVIDIA device"
    ecc, mode = _list(card.get("ecc")), _whole(card.get("persistence"))
    return Accelerator(
        vendor="nvidia",
        name=name,
        uuid=_word(card.get("uuid")) or "",
        index=_whole(card.get("index")) or 0,
        memory_bytes=_memory(card, "total", name, problem),
        free_bytes=_memory(card, "free", name, problem),
        compute_capability=".".join(map(str, _list(card.get("compute_capability")))) or None,
        numa_node=None,
        pci=address(_word(card.get("pci")) or ""),
        links=_links(card, cards),
        processes=_processes(card, problem),
        pcie_generation=_whole(card.get("pcie_generation")),
        pcie_width=_whole(card.get("pcie_width")),
        pcie_max_generation=_whole(card.get("pcie_max_generation")),
        pcie_max_width=_whole(card.get("pcie_max_width")),
        ecc=ecc[0] == 1 if ecc else None,
        ecc_errors=_whole(card.get("ecc_errors")),
        row_remap=_row_remap(_list(card.get("remapped_rows"))),
        mig=_mig(card.get("mig")),
        persistence=None if mode is None else mode == 1,
        problem=problem,
        shares_host_memory=any(word in name for word in UNIFIED_MEMORY),
    )


def address(bus: str) -> str:
    """`00000000:1A:00.0`, as NVML writes it, in the form of the kernel: `0000:1a:00.0`."""
    domain, colon, rest = bus.lower().partition(":")
    return f"{domain[-4:]}{colon}{rest}" if len(domain) == 8 and domain.startswith("0000") else bus.lower()


def _memory(card: Card, name: str, model: str, problem: str | None) -> int | Unknown:
    memory = card.get("memory")
    size = _whole(memory.get(name)) if isinstance(memory, dict) else None
    if size is not None and size > 0:
        return size
    if any(word in model for word in UNIFIED_MEMORY):
        return Unknown(f"{model} shares the host's memory")
    return Unknown(problem or _reason(memory) or f"NVML does not tell the {name} memory")


def _processes(card: Card, problem: str | None) -> tuple[DeviceProcess, ...] | Unknown:
    processes = card.get("processes")
    if not isinstance(processes, list):
        return Unknown(problem or _reason(processes) or "NVML does not tell who uses the card")
    return tuple(
        DeviceProcess(pid, _word(process.get("name")), _whole(process.get("used")))
        for process in processes
        if isinstance(process, dict) and (pid := _whole(process.get("pid"))) is not None
    )


def _row_remap(rows: Sequence[object]) -> str | None:
    """Corrected, uncorrected, pending, failed: `ok`, or what has to be done."""
    if len(rows) < 4:
        return None
    if rows[3]:
        return "failed: replace the card"
    return "pending: reset the card" if rows[2] else "ok"


def _mig(answer: object) -> Mig | None:
    mode = _list(answer.get("mode")) if isinstance(answer, dict) else []
    if not isinstance(answer, dict) or not mode:
        return None
    instances = (item for item in _list(answer.get("instances")) if isinstance(item, dict))
    names = (f"{_word(item.get('uuid')) or '?'} {_word(item.get('name')) or ''}".strip() for item in instances)
    return Mig(enabled=mode[0] == 1, instances=tuple(names))


def _links(card: Card, cards: Sequence[Card]) -> tuple[Link, ...]:
    peers = (peer for peer in _list(card.get("peers")) if isinstance(peer, dict))
    found = (_link(card, peer, cards) for peer in peers)
    return tuple(sorted((link for link in found if link), key=lambda link: link.to))


def _link(card: Card, peer: Card, cards: Sequence[Card]) -> Link | None:
    """NVLink where lanes lead there, directly or through a switch; else the way over PCIe."""
    to = _whole(peer.get("index"))
    other = next((each for each in cards if _whole(each.get("index")) == to), None)
    if to is None or other is None:
        return None
    read = _whole(peer.get("read"))
    allowed = None if read is None else read == 0
    lanes = _lanes(card, other)
    if lanes:
        return Link(to, "nvlink", f"NV{lanes}", lanes, allowed)
    hops = HOPS.get(_whole(peer.get("ancestor")) or 0, "unknown") if peer.get("ancestor") is not None else "unknown"
    return Link(to, "pcie", hops, None, allowed)


def _lanes(card: Card, other: Card) -> int:
    mine, theirs = _lane_list(card), _lane_list(other)
    switched = min(_switched(mine), _switched(theirs))
    place = address(_word(other.get("pci")) or "?")
    return switched or sum(address(_word(lane.get("remote")) or "") == place for lane in mine)


def _lane_list(card: Card) -> list[Card]:
    return [lane for lane in _list(card.get("nvlinks")) if isinstance(lane, dict)]


def _switched(lanes: Sequence[Card]) -> int:
    return sum(_whole(lane.get("kind")) == SWITCH for lane in lanes)


def _reason(answer: object) -> str | None:
    """Why there is no answer: NVML's own words."""
    reason = answer.get("unknown") if isinstance(answer, dict) else None
    return str(reason) if reason is not None else None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def grant(cards: tuple[Accelerator, ...]) -> Grant:
    """By the device interface or by the maker's runtime, whichever the container engine has; both know cards by their UUIDs
    (docs.nvidia.com, container toolkit, CDI and docker-specialized).
    """
    from provisioner.model.containers import Grant  # Detection has no use for it.

    ids = tuple(card.uuid for card in cards)
    return Grant(
        vendor="nvidia",
        cdi=tuple(f"nvidia.com/gpu={each}" for each in ids),
        runtime="nvidia",
        runtime_ids=ids,
        env={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
        resource="nvidia.com/gpu",
    )


VENDOR = Vendor(
    name="nvidia",
    pci_vendor_ids=("10de",),
    probe=Fact("accelerators.nvidia", AskNvml(), parse, absent=()),
    visible_devices="CUDA_VISIBLE_DEVICES",
    grant=grant,
)
