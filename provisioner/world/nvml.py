"""NVIDIA's driver library, asked once per card with a time-out; all answers in one JSON document."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from provisioner.model.facts import Answers, CannotAsk
from provisioner.model.record import dataclass
from provisioner.world.patience import Overdue, call, call_all

if TYPE_CHECKING:
    from typing import Any

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 10.0
"""A card that fell off the bus keeps its caller waiting for ever; healthy ones answer within a second."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

LIBRARY_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib64")
GPU_LINK, SWITCH_LINK = 0, 2
"""What stands at the other end of an NVLink: `nvmlIntNvLinkDeviceType_t` of nvml.h."""
READ_CAPABILITY = 0
"""`NVML_P2P_CAPS_INDEX_READ` of nvml.h."""
UNCORRECTED, VOLATILE = 1, 0
"""`nvmlMemoryErrorType_t` and `nvmlEccCounterType_t` of nvml.h: errors since the driver was loaded."""


def answer(loaded_driver: str | None) -> Answers:
    """The document under the key `nvml`; raises `CannotAsk` where there is a card and no way to ask about it."""
    if loaded_driver is None:
        raise CannotAsk("an NVIDIA device is on the PCI bus, but the nvidia kernel module is not loaded")
    try:
        import pynvml
    except ImportError:
        raise CannotAsk("the Python package nvidia-ml-py is not installed") from None
    return {"nvml": json.dumps(document(pynvml, loaded_driver), sort_keys=True)}


def document(nvml: ModuleType, loaded_driver: str, seconds: float = SECONDS) -> dict[str, Json]:
    """What the driver says of itself and of every card. `nvml` is the `pynvml` module, or one that stands for it."""
    try:
        start = call(lambda: _start(nvml), seconds)
    except nvml.NVMLError as error:
        raise CannotAsk(_sentence(str(error), loaded_driver)) from None
    if isinstance(start, Overdue):
        raise CannotAsk(f"NVML: the driver did not answer within {seconds:g} s")
    count = start.pop("count")
    indices = range(count if isinstance(count, int) else 0)
    answers = call_all([_bound(_card, nvml, index) for index in indices], seconds)
    # A card that does not answer would keep the others waiting: only those that did are asked about each other.
    awake = {index: answer for index, answer in enumerate(answers) if isinstance(answer, _Awake)}
    peers = call_all([_bound(_peers, nvml, index, awake) for index in awake], seconds)
    ways = dict(zip(awake, peers, strict=True))
    return start | {"devices": [_device(index, answer, ways.get(index)) for index, answer in enumerate(answers)]}


@dataclass(frozen=True, slots=True)
class _Awake:
    """A card that answered: its handle in the library, and what it said."""

    handle: object
    answers: dict[str, Json]


def _bound(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Callable[[], T]:
    return lambda: function(*arguments, **named)


def _device(index: int, answer: _Awake | str | Overdue, peers: Json | Overdue) -> Json:
    if isinstance(answer, _Awake):
        return answer.answers | {"peers": [] if isinstance(peers, Overdue) else peers}
    return {"index": index, "unknown": answer if isinstance(answer, str) else _late(answer)}


def _late(overdue: Overdue) -> str:
    return f"did not answer within {overdue.seconds:g} s"


def _start(nvml: ModuleType) -> dict[str, Json]:
    nvml.nvmlInit()
    return {
        "driver": _plain(nvml, nvml.nvmlSystemGetDriverVersion),
        "cuda": _plain(nvml, nvml.nvmlSystemGetCudaDriverVersion),
        "count": nvml.nvmlDeviceGetCount(),
    }


def _card(nvml: ModuleType, index: int) -> _Awake | str:
    """What a card says of itself, or why it does not."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return str(error)

    def ask(function: Callable[..., object], *arguments: object) -> Json:
        return _plain(nvml, function, handle, *arguments)

    memory = _guarded(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    answers: dict[str, Json] = {
        "index": index,
        "name": ask(nvml.nvmlDeviceGetName),
        "uuid": ask(nvml.nvmlDeviceGetUUID),
        "pci": _bus(_guarded(nvml, nvml.nvmlDeviceGetPciInfo, handle)),
        "memory": memory if isinstance(memory, dict) else {"total": int(memory.total), "free": int(memory.free)},
        "compute_capability": ask(nvml.nvmlDeviceGetCudaComputeCapability),
        "pcie_generation": ask(nvml.nvmlDeviceGetCurrPcieLinkGeneration),
        "pcie_width": ask(nvml.nvmlDeviceGetCurrPcieLinkWidth),
        "pcie_max_generation": ask(nvml.nvmlDeviceGetMaxPcieLinkGeneration),
        "pcie_max_width": ask(nvml.nvmlDeviceGetMaxPcieLinkWidth),
        "ecc": ask(nvml.nvmlDeviceGetEccMode),
        "ecc_errors": ask(nvml.nvmlDeviceGetTotalEccErrors, UNCORRECTED, VOLATILE),
        "remapped_rows": ask(nvml.nvmlDeviceGetRemappedRows),
        "persistence": ask(nvml.nvmlDeviceGetPersistenceMode),
        "mig": _mig(nvml, handle),
        "processes": _processes(nvml, handle),
        "nvlinks": _nvlinks(nvml, handle),
    }
    return _Awake(handle, answers)


def _mig(nvml: ModuleType, handle: object) -> Json:
    """Mode and instances; a card that cannot be partitioned says so."""
    mode = _plain(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if not isinstance(mode, list):
        return mode
    instances: list[Json] = []
    slots = _plain(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) if mode[0] else 0
    for slot in range(slots if isinstance(slots, int) else 0):
        instance = _guarded(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, slot)
        if not isinstance(instance, dict):
            instances.append({
                "name": _plain(nvml, nvml.nvmlDeviceGetName, instance),
                "uuid": _plain(nvml, nvml.nvmlDeviceGetUUID, instance),
            })  # fmt: skip
    return {"mode": mode, "instances": instances}


def _processes(nvml: ModuleType, handle: object) -> Json:
    """Who holds memory of the card, for computing or for drawing; a program's name without its path."""
    found: dict[int, Json] = {}
    for function in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        running = _guarded(nvml, function, handle)
        if isinstance(running, dict):
            if function is nvml.nvmlDeviceGetComputeRunningProcesses:
                return running
            continue
        for process in running:
            used = process.usedGpuMemory
            name = _plain(nvml, nvml.nvmlSystemGetProcessName, process.pid)
            found[process.pid] = {
                "pid": process.pid,
                "name": os.path.basename(name) if isinstance(name, str) else None,
                "used": int(used) if isinstance(used, int) else None,
            }
    return [found[pid] for pid in sorted(found)]


def _nvlinks(nvml: ModuleType, handle: object) -> Json:
    """The links that are up, each with what stands at its other end."""
    links: list[Json] = []
    for link in range(int(nvml.NVML_NVLINK_MAX_LINKS)):
        state = _plain(nvml, nvml.nvmlDeviceGetNvLinkState, handle, link)
        if isinstance(state, dict):
            break
        if state:
            remote = _guarded(nvml, nvml.nvmlDeviceGetNvLinkRemotePciInfo, handle, link)
            links.append({
                "link": link,
                "remote": _bus(remote),
                "kind": _plain(nvml, nvml.nvmlDeviceGetNvLinkRemoteDeviceType, handle, link),
            })  # fmt: skip
    return links


def _peers(nvml: ModuleType, index: int, awake: Mapping[int, _Awake]) -> list[Json]:
    """The ways to the other cards: their common ancestor on the bus, and whether one may read the other's memory."""
    mine = awake[index].handle
    return [
        {
            "index": other,
            "ancestor": _plain(nvml, nvml.nvmlDeviceGetTopologyCommonAncestor, mine, card.handle),
            "read": _plain(nvml, nvml.nvmlDeviceGetP2PStatus, mine, card.handle, READ_CAPABILITY),
        }
        for other, card in awake.items()
        if other != index
    ]


def _plain(nvml: ModuleType, function: Callable[..., object], *arguments: object) -> Json:
    """An answer as JSON; the library's refusal as `{"unknown": reason}`."""
    return _json(_guarded(nvml, function, *arguments))


def _guarded(nvml: ModuleType, function: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401  The library's own bindings have no types.
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        return {"unknown": str(error)}


def _json(value: object) -> Json:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    return str(value)


def _bus(place: Any) -> Json:  # noqa: ANN401  A structure of the library, or its refusal.
    return None if isinstance(place, dict) else _text(place.busId)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _sentence(error: str, loaded_driver: str) -> str:
    """The library's refusal to start, with both versions where they are at odds."""
    if "mismatch" in error.lower():
        return f"NVML: {error} ({loaded_driver} loaded, {_library_version() or 'another one'} in user space)"
    return f"NVML: {error} (driver {loaded_driver} is loaded)"


def _library_version() -> str | None:
    for folder in LIBRARY_FOLDERS:
        name = os.path.basename(os.path.realpath(f"{folder}/libnvidia-ml.so.1"))
        version = name.removeprefix("libnvidia-ml.so.")
        if version not in (name, "1"):
            return version
    return None
