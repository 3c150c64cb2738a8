"""What the machine has to give: memory on the host and on the device that would be used, and how sure that is."""

from collections.abc import Iterator

from provisioner.model.facts import SYSTEM_NAMES, Accelerator, Host, HostFacts, Limits, Memory, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import GIB, MIB, size

CUDA_WHEEL = "pip install xllamacpp --force-reinstall --index-url https://xorbitsai.github.io/xllamacpp/whl/cu128"
"""The engine's build for NVIDIA cards, as its documentation gives it."""

LINUX = "Linux"
DEVICE_RESERVE = 256 * MIB
"""Kept free on a device, so that a driver update or a second context does not end in an out-of-memory error."""


MAKERS = {
    "nvidia": "NVIDIA", "amd": "AMD", "ascend": "Huawei Ascend", "hygon": "Hygon", "kunlun": "Kunlunxin", "intel": "Intel",
    "apple": "Apple", "metax": "MetaX",
}  # fmt: skip

INTEGRATED = ("amd", "intel")
"""Makers whose devices without memory of their own sit in processors: what they compute, the processors do as well."""

EMBEDDED = ("nvidia", "apple")
"""Makers whose cards the embedded engine has a build for."""

BACKENDS = {"nvidia": "cuda"}
"""What its build for a maker's cards is told by, where it is another than the usual one (Metal is in all for macOS)."""


@dataclass(frozen=True, slots=True)
class Room:
    """Memory that may be planned with. `device` is `host` or `<vendor>:<index>`."""

    device: str
    total_bytes: int
    budget_bytes: int
    basis: str


Devices = tuple[tuple[Accelerator, Room], ...]


@dataclass(frozen=True, slots=True)
class Ground:
    """What the embedded engine may use: no `devices` where there is none, then `why_no_device` says why, and `blocked`
    if one is there. `cards` are all that any engine may use.
    """

    host: Room | Unknown
    devices: Devices
    """The roomiest first."""
    why_no_device: str
    blocked: bool
    others: tuple[tuple[str, str], ...]
    """Devices that are not used, each with the reason."""
    findings: tuple[Finding, ...]
    cards: tuple[Accelerator, ...] = ()
    unusable: tuple[tuple[str, str], ...] = ()
    """Cards that no engine can use, each with the reason."""
    whole_host: Room | Unknown | None = None
    """Where cards share the host's memory: all of it, for what is not on them. `host` is what is kept beside them then."""

    @property
    def device(self) -> Room | None:
        return self.devices[0][1] if self.devices else None

    @property
    def accelerator(self) -> Accelerator | None:
        return self.devices[0][0] if self.devices else None


def survey(facts: HostFacts, vendors: tuple[str, ...] = EMBEDDED, *, embedded: bool = True) -> Ground:
    """The rooms of a machine for an engine that runs on these makers' cards, and what stands in the way of using them."""
    whole = host_room(facts)
    host, facts = beside_shared(facts, whole)
    kept = whole if host is not whole else None
    usable, unusable = _devices(facts, vendors)
    blocker = _blocker(facts, usable, unusable, embedded=embedded)
    cards, broken = usable_cards(facts)
    if blocker or not usable:
        why = blocker.message if blocker else "no accelerator was found"
        return Ground(host, (), why, blocker is not None, unusable, (blocker,) if blocker else (), cards, broken, kept)
    ordered = tuple(sorted(usable, key=lambda pair: -pair[1].budget_bytes))
    notes = _assumed_runtime(facts) if embedded and usable[0][0].vendor in BACKENDS else ()
    return Ground(host, ordered, "", False, unusable, notes, cards, broken, kept)


BESIDE_SHARED = 8 * GIB
"""Of a memory that a card shares with its host, kept for programs of the host: a server and its worker hold 6 GiB of it."""


def beside_shared(facts: HostFacts, host: Room | Unknown, servers: int = 1) -> tuple[Room | Unknown, HostFacts]:
    """Cards that have no memory of their own get what the host's leaves them, in equal parts, and the host what is kept."""
    sharing = [card for found in facts.accelerators.values() if not isinstance(found, Unknown)
               for card in found if _shares(card)]  # fmt: skip
    if not sharing or isinstance(host, Unknown):
        return host, facts
    limit = _limit(sharing, host.total_bytes)
    least = servers * (BESIDE_SHARED if limit is None else BESIDE_LIMITED)
    kept = min(max(least, host.budget_bytes - (limit or host.budget_bytes)), host.budget_bytes)
    free, total = (host.budget_bytes - kept) // len(sharing), (limit or host.total_bytes) // len(sharing)

    def held(card: Accelerator) -> Accelerator:
        return replace(card, memory_bytes=total, free_bytes=free) if _shares(card) else card

    accelerators = {
        vendor: found if isinstance(found, Unknown) else tuple(map(held, found))
        for vendor, found in facts.accelerators.items()
    }
    told = f"{size(kept)} of {host.basis}; the rest is for the cards that share it"
    return replace(host, budget_bytes=kept, basis=told), replace(facts, accelerators=accelerators)


BESIDE_LIMITED = 2 * GIB
"""The same where the system sets a limit for the card, which servers that are built on llama.cpp alone run on."""


def _limit(sharing: list[Accelerator], total: int) -> int | None:
    """What the cards may have of the memory that they share, by the system's own limit or its rule; None where there is none."""
    rule = _maker(sharing[0]).host_share
    if rule is None:
        return None
    return sum(rule(total) if isinstance(card.memory_bytes, Unknown) else card.memory_bytes for card in sharing)


def _maker(card: Accelerator) -> Vendor:
    from provisioner.catalog import find  # Few machines have such a card.

    found = find("provisioner.accelerators", "VENDOR", card.vendor)
    if not isinstance(found, Vendor):
        raise TypeError(f"{card.vendor} is no maker")
    return found


def system_of(facts: HostFacts) -> str:
    """The operating system, as the machine told it, or as its devices come with; empty for Linux."""
    if isinstance(facts.host, Host) and facts.host.system != LINUX:
        return facts.host.system
    sharing = [card for found in facts.accelerators.values() if not isinstance(found, Unknown)
               for card in found if card.shares_host_memory and card.vendor in EMBEDDED]  # fmt: skip
    return _maker(sharing[0]).system if sharing else ""


def parted(facts: HostFacts, servers: int) -> HostFacts:
    """The machine as if each card and the host had its part for itself: who deals them out to several models counts each byte once."""
    whole = host_room(facts)
    host, shared = beside_shared(facts, whole, servers)
    if host is whole or isinstance(host, Unknown) or isinstance(facts.memory, Unknown):
        return facts
    return replace(
        shared, memory=replace(facts.memory, available_bytes=host.budget_bytes + host_reserve(host.total_bytes))
    )


def _shares(card: Accelerator) -> bool:
    return card.shares_host_memory and card.vendor in EMBEDDED and isinstance(card.free_bytes, Unknown)


def usable_cards(facts: HostFacts) -> tuple[tuple[Accelerator, ...], tuple[tuple[str, str], ...]]:
    """Every card that works and whose memory is known; and the others, with the reason."""
    good, bad = [], []
    for vendor, found in facts.accelerators.items():
        for card in () if isinstance(found, Unknown) else found:
            reason = _unfit(card)
            if reason:
                bad.append((f"{vendor}:{card.index}", reason))
            else:
                good.append(card)
    return tuple(good), tuple(bad)


def _integrated(card: Accelerator) -> bool:
    return card.shares_host_memory and card.vendor in INTEGRATED


def _unfit(card: Accelerator) -> str:
    if card.problem:
        return f"{card.name}: {card.problem}"
    if _integrated(card):
        return f"{card.name} is part of the processor and has no memory of its own"
    if card.mig is not None and card.mig.enabled:
        return f"{card.name} is cut into MIG instances"
    if isinstance(card.memory_bytes, Unknown):
        return f"{card.name}: memory unknown ({card.memory_bytes.reason})"
    if isinstance(card.free_bytes, Unknown):
        return f"{card.name}: free memory unknown ({card.free_bytes.reason})"
    return ""


def host_room(facts: HostFacts) -> Room | Unknown:
    if isinstance(facts.memory, Unknown):
        return facts.memory
    total, free, limited = _within_limits(facts.memory, facts.limits)
    reserve = host_reserve(total)
    basis = f"{size(free)} free of {size(total)}{limited}, less {size(reserve)} kept for the system"
    return Room("host", total, max(0, free - reserve), basis)


def host_reserve(total: int) -> int:
    """A sixteenth of the memory for the system and its other programs, from 256 MiB to 4 GiB."""
    return min(4 * GIB, max(256 * MIB, total // 16))


def _within_limits(memory: Memory, limits: Limits | Unknown) -> tuple[int, int, str]:
    total = memory.total_bytes
    free = min(total, memory.available_bytes)
    if isinstance(limits, Unknown) or limits.memory_bytes is None or limits.memory_bytes >= total:
        return total, free, ""
    inside = limits.memory_bytes - (limits.memory_used_bytes or 0)
    return limits.memory_bytes, max(0, min(free, inside)), f" (the limit of {limits.cgroup or 'this cgroup'})"


def _devices(facts: HostFacts, vendors: tuple[str, ...]) -> tuple[Devices, tuple[tuple[str, str], ...]]:
    usable: list[tuple[Accelerator, Room]] = []
    unusable: list[tuple[str, str]] = []
    for vendor, found in facts.accelerators.items():
        for accelerator in () if isinstance(found, Unknown) else found:
            if _integrated(accelerator):
                continue
            name = f"{vendor}:{accelerator.index}"
            room = _device_room(name, accelerator, vendors)
            if isinstance(room, Room):
                usable.append((accelerator, room))
            else:
                unusable.append((name, room))
    return tuple(usable), tuple(unusable)


def _device_room(name: str, accelerator: Accelerator, vendors: tuple[str, ...]) -> Room | str:
    """The room on one device, or the reason why it cannot be used."""
    if accelerator.vendor not in vendors:
        which = (
            "the embedded engine runs on NVIDIA cards, Apple's chips and on CPUs"
            if vendors == EMBEDDED
            else "the engine has no build for it"
        )
        return f"{accelerator.name}: {which}"
    unfit = _unfit(accelerator)
    total, free = accelerator.memory_bytes, accelerator.free_bytes
    if unfit or isinstance(total, Unknown) or isinstance(free, Unknown):
        return unfit
    free = min(total, free)
    basis = f"{size(free)} free of {size(total)}, less {size(DEVICE_RESERVE)} kept for the driver"
    return Room(name, total, max(0, free - DEVICE_RESERVE), basis)


def _blocker(
    facts: HostFacts, usable: Devices, unusable: tuple[tuple[str, str], ...], *, embedded: bool
) -> Finding | None:
    """Why a device that is there cannot be used; None where one can be, or where there is none at all."""
    host_only = "or use the host's processors and memory: `--set placement=host`"
    if usable and not embedded:
        return None
    if usable:
        return _no_backend(facts, usable[0][0], host_only)
    if unusable:
        told = "; ".join(_grouped(unusable))
        found = (card for cards in facts.accelerators.values() if not isinstance(cards, Unknown) for card in cards)
        mend = (
            "mend the device, " if any(map(_unfit, found)) else "name an engine that has a build for it, if one does, "
        )
        return Finding("accelerator-usable", "error", told, fix=f"{mend}{host_only}")
    return _silent(facts, host_only)


def _silent(facts: HostFacts, host_only: str) -> Finding | None:
    """A device that is seen and does not answer is not the same as none."""
    for vendor, asked in facts.accelerators.items():
        if not isinstance(asked, Unknown) or (vendor == "nvidia" and not _nvidia_on_the_bus(facts)):
            continue
        title = MAKERS.get(vendor, vendor)
        if system := system_of(facts):
            told = f"{SYSTEM_NAMES.get(system, system)} does not tell what GPU is there: {asked.reason}"
            return Finding("accelerator-usable", "error", told, fix=f"see to it, {host_only}")
        message = f"a device of {title} is on the bus, but its driver does not answer: {asked.reason}"
        return Finding(
            "accelerator-usable", "error", message, fix=f"install or repair the driver of {title}, {host_only}"
        )
    return None


def _grouped(unusable: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Each reason once, with the devices that it holds for."""
    for reason in dict.fromkeys(reason for _, reason in unusable):
        names = [name for name, other in unusable if other == reason]
        yield f"{names[0]}{f' to {names[-1]}' if len(names) > 1 else ''}: {reason}"


def _nvidia_on_the_bus(facts: HostFacts) -> bool:
    if isinstance(facts.pci, Unknown):
        return True
    return any(device.vendor_id.removeprefix("0x") == "10de" for device in facts.pci)


def _no_backend(facts: HostFacts, card: Accelerator, host_only: str) -> Finding | None:
    runtime, name = facts.software.runtime, card.name
    if card.vendor not in BACKENDS or "software.runtime" in facts.assumed or _has_cuda(facts):
        return None
    reason = runtime.reason if isinstance(runtime, Unknown) else "it was built without CUDA"
    return Finding("engine-backend", "error", f"{name} is there, but the embedded engine cannot use it: {reason}",
                   fix=f"`{CUDA_WHEEL}`, {host_only}")  # fmt: skip


def _has_cuda(facts: HostFacts) -> bool:
    runtime = facts.software.runtime
    return not isinstance(runtime, Unknown) and any("cuda" in word.lower() for word in runtime.embedded_backends)


def _assumed_runtime(facts: HostFacts) -> tuple[Finding, ...]:
    if "software.runtime" not in facts.assumed or _has_cuda(facts):
        return ()
    return (Finding("engine-backend", "note", "taken as given: an embedded engine that was built with CUDA",
                    fix=f"on that machine: `{CUDA_WHEEL}`"),)  # fmt: skip
