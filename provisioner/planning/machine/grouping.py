"""Cards of one kind, taken together in groups: as near as can be, and as free as they have to be."""

from collections.abc import Collection, Iterator, Sequence

from provisioner.model.facts import Accelerator
from provisioner.model.record import dataclass
from provisioner.planning.machine.islands import KINDS, MACHINE, Assumed, Levels, free_bytes, levels

Group = tuple[Accelerator, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """Identical cards of a machine, and how they are near each other."""

    cards: tuple[Accelerator, ...]
    levels: Levels


@dataclass(frozen=True, slots=True)
class Choice:
    """Groups of one size; on each device at least this much is free."""

    groups: tuple[Group, ...]
    free_bytes: int


def kinds(cards: Sequence[Accelerator], assumed: Assumed | None) -> tuple[Kind, ...]:
    return tuple(Kind(part, levels(part, assumed)) for part in alike(cards))


def alike(cards: Sequence[Accelerator]) -> tuple[Group, ...]:
    """Cards that tensor parallelism may join: the same name and the same memory (there are modified cards with stock names)."""
    parts: dict[object, list[Accelerator]] = {}
    for card in cards:
        parts.setdefault((card.vendor, card.name, card.memory_bytes, card.compute_capability), []).append(card)
    return tuple(map(tuple, parts.values()))


def grouped(levels: Levels, among: Collection[int], size: int, rank: int = MACHINE) -> list[Group]:
    """As many groups as there can be within islands of this rank and nearer; what is left of an island goes to the next."""
    left = set(among)
    groups = []
    for level in levels[: rank + 1]:
        for island in level:
            near = [card for card in island if card.index in left]
            for start in range(0, len(near) - size + 1, size):
                group = tuple(near[start : start + size])
                left.difference_update(card.index for card in group)
                groups.append(group)
    return groups


def choices(kind: Kind, size: int, most: int | None = None) -> Iterator[Choice]:
    """Most groups first, then nearest; each further one has more free memory, so nothing comes that could not fit any more.

    A threshold of free memory picks the cards, never their order: a few bytes more on one of them do not tear a near group apart.
    """
    frees = sorted({free_bytes(card) for card in kind.cards}, reverse=True)
    ranks = _ranks(kind, size)
    found = {(rank, free): _above(kind, size, rank, free) for rank in ranks for free in frees}
    possible = max((len(groups) for groups in found.values()), default=0)
    best = -1
    for count in range(min(possible, most or possible), 0, -1):
        for rank in ranks:
            free = next((free for free in frees if len(found[rank, free]) >= count), None)
            if free is not None and free > best:
                best = free
                yield Choice(tuple(found[rank, free][:count]), free)


def _ranks(kind: Kind, size: int) -> tuple[int, ...]:
    """The kinds of nearness that make a difference: an island there is as large as a group, and was not there before."""
    if size == 1:
        return (0,)
    parts = kind.levels
    return tuple(
        rank
        for rank in range(len(KINDS))
        if (not rank or parts[rank] != parts[rank - 1]) and any(len(island) >= size for island in parts[rank])
    )


def _above(kind: Kind, size: int, rank: int, free: int) -> list[Group]:
    return grouped(kind.levels, {card.index for card in kind.cards if free_bytes(card) >= free}, size, rank)


def fullest(cards: Sequence[Accelerator]) -> Accelerator:
    """The card that sets the budget of all."""
    return min(cards, key=lambda card: (free_bytes(card), card.index))
