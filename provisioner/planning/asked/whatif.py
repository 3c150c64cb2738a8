"""The same machine, changed: `+2x RTX 4090`, `512 GiB`, `without nvidia:3`, `without process 4711`, `nvlink=yes, 2 nodes`."""

from provisioner.catalog import Catalog
from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, HostFacts, Limits, Link, Memory, Unknown
from provisioner.model.record import replace
from provisioner.planning.asked.described import Said, cards_of, free_of, memory_of
from provisioner.planning.asked.dimms import Dimms, made_of
from provisioner.planning.asked.shorthand import hear

WITHOUT = ("without ", "-")
"""The word can be written without a thought; a shell's options begin with the sign."""

EXAMPLE = '`--what-if "+2x RTX 4090, 512 GiB"`'


def what_if(facts: HostFacts, text: str, catalog: Catalog) -> HostFacts:
    """`+` adds cards, `-` takes them away, a bare count of cards stands in place of all; the rest sets what it names."""
    parts = [part.strip() for part in text.replace(";", ",").split(",") if part.strip()]
    if not parts:
        raise BadInput("--what-if says nothing", fix=EXAMPLE)
    for part in parts:
        facts = _changed(facts, part, catalog)
    return facts


def _changed(facts: HostFacts, part: str, catalog: Catalog) -> HostFacts:
    for word in WITHOUT:
        if part.startswith(word):
            return _without(facts, part.removeprefix(word).strip(), catalog)
    adds = part.startswith("+")
    said = hear(Said(), part.lstrip("+").strip(), catalog)
    if said.cards:
        return _with_cards(facts, said, keep=adds)
    if adds and said.memory_bytes is None:
        raise BadInput(f"--what-if: only cards and memory can be added, and `{part[:40]}` is neither", fix=EXAMPLE)
    return _with_host(facts, said, more=adds)


def _with_cards(facts: HostFacts, said: Said, *, keep: bool) -> HostFacts:
    """New cards beside those that are there, or in their place; nothing is known of links to a new one."""
    known: dict[str, tuple[Accelerator, ...] | Unknown] = dict(facts.accelerators)
    if not keep:
        known = dict.fromkeys(known, ())
    for card in cards_of(said):
        there = known.get(card.vendor, ())
        have = () if isinstance(there, Unknown) else there
        index = max((one.index for one in have), default=-1) + 1
        known[card.vendor] = (*have, replace(card, index=index, uuid=f"described-{index}", links=()))
    assumed = facts.assumed if "accelerators.links" in facts.assumed else (*facts.assumed, "accelerators.links")
    return replace(facts, accelerators=known, assumed=assumed)


def _without(facts: HostFacts, what: str, catalog: Catalog) -> HostFacts:
    """Without one device (`nvidia:3`), without a process on a device, or without so many cards of a kind."""
    word, _, number = what.partition(" ")
    if word == "process" and number.strip().isdecimal():
        return without_processes(facts, {int(number)})
    vendor, colon, index = what.partition(":")
    found = facts.accelerators.get(vendor)
    if colon and isinstance(found, tuple):
        left = tuple(card for card in found if str(card.index) != index)
        if len(left) < len(found):
            return replace(facts, accelerators={**facts.accelerators, vendor: _linked_among(left)})
    if colon and index.isdecimal():
        raise BadInput(f"--what-if: `{what[:40]}` is not on this machine", fix=_devices(facts))
    for entry, count in hear(Said(), what, catalog).cards:
        there = facts.accelerators.get(entry.vendor, ())
        cards = () if isinstance(there, Unknown) else there
        alike = [card for card in cards if card.name == entry.name]
        if len(alike) >= count:
            gone = {card.index for card in alike[len(alike) - count :]}
            left = tuple(card for card in cards if card.index not in gone)
            return replace(facts, accelerators={**facts.accelerators, entry.vendor: _linked_among(left)})
    raise BadInput(f"--what-if: `-{what[:40]}` is not on this machine", fix="`provision detect` lists what is there")


def _devices(facts: HostFacts) -> str:
    """What there is instead."""
    known = [
        f"`without {vendor}:{card.index}`"
        for vendor, cards in facts.accelerators.items() if not isinstance(cards, Unknown)
        for card in cards
    ]  # fmt: skip
    return f"one of {', '.join(known)}" if known else "`provision detect` lists what is there"


def without_processes(facts: HostFacts, pids: set[int]) -> HostFacts:
    """What these processes hold of devices is free."""

    def freed(card: Accelerator) -> Accelerator:
        there = () if isinstance(card.processes, Unknown) else card.processes
        gone = sum(one.used_bytes or 0 for one in there if one.pid in pids)
        free = card.free_bytes if isinstance(card.free_bytes, Unknown) else card.free_bytes + gone
        return replace(card, free_bytes=free, processes=tuple(one for one in there if one.pid not in pids))

    accelerators = {
        vendor: cards if isinstance(cards, Unknown) else tuple(map(freed, cards))
        for vendor, cards in facts.accelerators.items()
    }
    return replace(facts, accelerators=accelerators)


def _linked_among(cards: tuple[Accelerator, ...]) -> tuple[Accelerator, ...]:
    there = {card.index for card in cards}
    return tuple(replace(card, links=tuple(link for link in card.links if link.to in there)) for card in cards)


def _with_host(facts: HostFacts, said: Said, *, more: bool) -> HostFacts:
    if said.memory_bytes is not None:
        facts = replace(
            facts, memory=_memory(facts.memory, said, more=more), limits=_limits(facts.limits, said, more=more)
        )
    if said.dimms != Dimms():
        if isinstance(facts.memory, Unknown):
            raise BadInput("--what-if: how much memory there is, is not known", fix='`--what-if "512 GiB DDR5-4800"`')
        sockets = 1 if isinstance(facts.cpu, Unknown) else facts.cpu.sockets
        facts = replace(facts, memory=made_of(facts.memory, said.dimms, sockets))
    if said.nodes is not None:
        facts = replace(facts, nodes=said.nodes)
    if said.nvlink is not None:
        facts = _relinked(facts, "nvlink" if said.nvlink else "pcie", "NV" if said.nvlink else "PHB")
    untold = replace(said, memory_bytes=None, nodes=None, nvlink=None, dimms=Dimms())
    if untold != Said():
        raise BadInput("--what-if changes cards, memory, nodes and NVLink", fix=EXAMPLE)
    return facts


def _memory(memory: Memory | Unknown, said: Said, *, more: bool) -> Memory:
    """As free as the machine's own is; all but a twentieth where that is not known."""
    amount = memory_of(said)
    if isinstance(memory, Unknown):
        return Memory(amount, free_of(amount), 0, (), None, Unknown("not stated"), None)
    total = memory.total_bytes + amount if more else amount
    return replace(
        memory, total_bytes=total, available_bytes=max(0, memory.available_bytes + total - memory.total_bytes)
    )


def _limits(limits: Limits | Unknown, said: Said, *, more: bool) -> Limits | Unknown:
    """A limit grows with the memory that it is a limit of; where a new amount is named, there is none."""
    if isinstance(limits, Unknown) or limits.memory_bytes is None:
        return limits
    return replace(limits, memory_bytes=limits.memory_bytes + memory_of(said) if more else None)


def _relinked(facts: HostFacts, kind: str, hops: str) -> HostFacts:
    def linked(cards: tuple[Accelerator, ...] | Unknown) -> tuple[Accelerator, ...] | Unknown:
        if isinstance(cards, Unknown):
            return cards
        return tuple(
            replace(
                card, links=tuple(Link(other.index, kind, hops, None, None) for other in cards if other is not card)
            )
            for card in cards
        )

    accelerators = {vendor: linked(cards) for vendor, cards in facts.accelerators.items()}
    return replace(
        facts, accelerators=accelerators, assumed=tuple(one for one in facts.assumed if one != "accelerators.links")
    )
