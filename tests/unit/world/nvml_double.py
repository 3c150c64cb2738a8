"""Stands for the `pynvml` module: the same names, answers of cards that a test describes. Held to the real one by a test."""

# ruff: noqa: ARG002, N802, RUF100 - names and parameters are the library's.

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from provisioner.world.nvml import GPU_LINK, SWITCH_LINK

MIB = 1 << 20


class NVMLError(Exception):
    pass


def refuse(why: str = "Not Supported") -> NVMLError:
    return NVMLError(why)


@dataclass
class Card:
    """One card; a value that is an error is raised when it is asked for."""

    name: Any = "NVIDIA H200"
    uuid: str = "GPU-1b0f7c2e-8a44-4d57-9d5c-0a5f6e7b8c9d"
    bus: str = "00000000:1A:00.0"
    total_mib: int = 143771
    memory: Any = None
    capability: Any = (9, 0)
    mig: Any = (0, 0)
    instances: tuple[str, ...] = ()
    ecc: Any = (1, 1)
    rows: Any = (0, 0, 0, 0)
    persistence: Any = 1
    width: Any = 16
    processes: Any = ()
    switched_lanes: int = 0
    direct: dict[str, int] = field(default_factory=dict)
    hangs: bool = False
    lost: Any = None


class Nvml:
    """The module's functions over a list of cards."""

    NVMLError = NVMLError
    NVML_NVLINK_MAX_LINKS = 18

    def __init__(self, *cards: Card, start: Exception | None = None) -> None:
        self._cards = cards
        self._start = start

    def nvmlInit(self) -> None:
        if self._start:
            raise self._start

    def nvmlSystemGetDriverVersion(self) -> str:
        return "580.95.05"

    def nvmlSystemGetCudaDriverVersion(self) -> int:
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        return len(self._cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Card:
        card = self._cards[index]
        if card.hangs:
            time.sleep(30)
        _raise(card.lost)
        return card

    def nvmlDeviceGetName(self, handle: Any) -> Any:
        return "NVIDIA H200 MIG 1g.18gb" if isinstance(handle, str) else _raise(handle.name)

    def nvmlDeviceGetUUID(self, handle: Any) -> Any:
        return handle if isinstance(handle, str) else handle.uuid

    def nvmlDeviceGetPciInfo(self, card: Card) -> Any:
        return SimpleNamespace(busId=card.bus)

    def nvmlDeviceGetMemoryInfo(self, card: Card) -> Any:
        _raise(card.memory)
        return SimpleNamespace(total=card.total_mib * MIB, free=(card.total_mib - 600) * MIB)

    def nvmlDeviceGetCudaComputeCapability(self, card: Card) -> Any:
        return _raise(card.capability)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, card: Card) -> int:
        return 5

    def nvmlDeviceGetCurrPcieLinkWidth(self, card: Card) -> Any:
        return _raise(card.width)

    def nvmlDeviceGetMaxPcieLinkGeneration(self, card: Card) -> int:
        return 5

    def nvmlDeviceGetMaxPcieLinkWidth(self, card: Card) -> int:
        return 16

    def nvmlDeviceGetEccMode(self, card: Card) -> Any:
        return list(_raise(card.ecc))

    def nvmlDeviceGetTotalEccErrors(self, card: Card, kind: int, counter: int) -> int:
        assert (kind, counter) == (1, 0)
        _raise(card.ecc)
        return 0

    def nvmlDeviceGetRemappedRows(self, card: Card) -> Any:
        return _raise(card.rows)

    def nvmlDeviceGetPersistenceMode(self, card: Card) -> Any:
        return _raise(card.persistence)

    def nvmlDeviceGetMigMode(self, card: Card) -> Any:
        return list(_raise(card.mig))

    def nvmlDeviceGetMaxMigDeviceCount(self, card: Card) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card: Card, slot: int) -> str:
        if slot >= len(card.instances):
            raise refuse("Not Found")
        return card.instances[slot]

    def nvmlDeviceGetComputeRunningProcesses(self, card: Card) -> Any:
        return list(_raise(card.processes))

    def nvmlDeviceGetGraphicsRunningProcesses(self, card: Card) -> Any:
        return []

    def nvmlSystemGetProcessName(self, pid: int) -> str:
        return "/home/somebody/venv/bin/python3"

    def nvmlDeviceGetNvLinkState(self, card: Card, link: int) -> int:
        if not card.switched_lanes and not card.direct:
            raise refuse()
        return int(link < card.switched_lanes + sum(card.direct.values()))

    def nvmlDeviceGetNvLinkRemotePciInfo(self, card: Card, link: int) -> Any:
        buses = [bus for bus, lanes in card.direct.items() for _ in range(lanes)]
        return SimpleNamespace(busId=buses[link] if link < len(buses) else "00000000:C1:00.0")

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, card: Card, link: int) -> int:
        return SWITCH_LINK if card.switched_lanes else GPU_LINK

    def nvmlDeviceGetTopologyCommonAncestor(self, one: Card, other: Card) -> int:
        return 40

    def nvmlDeviceGetP2PStatus(self, one: Card, other: Card, capability: int) -> int:
        assert capability == 0
        return 0


def _raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value
