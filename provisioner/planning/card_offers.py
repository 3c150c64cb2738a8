"""How many more cards, or servers, would make a refused plan fit."""

from collections.abc import Callable, Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Change
from provisioner.model.record import replace
from provisioner.planning.attempt import Attempt, Choice, Scene
from provisioner.planning.choose import choose
from provisioner.planning.devices import entry_of
from provisioner.planning.ground import survey
from provisioner.planning.whatif import what_if

CARDS_OF_A_SERVER = 8
MORE_NODES = (2, 3, 4)


def more_cards(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    """The fewest cards like those that are there, free and healthy, that a server has room for; else further servers like this one."""
    cards = scene.ground.cards
    if not cards or attempt.rung.placement == "host":
        return
    pattern = max(cards, key=lambda card: 0 if isinstance(card.memory_bytes, Unknown) else card.memory_bytes)
    entry = entry_of(scene.catalog, pattern)
    known = "" if entry is None or entry.shares_host_memory else entry.id
    fewest = (
        _fewest(CARDS_OF_A_SERVER - len(cards), lambda count: _changed(scene, _added(count, known))) if known else None
    )
    if fewest:
        count, found = fewest
        yield Change(f"{count} more {pattern.name}", f"{found.attempt.label} fits then", (), _added(count, known))
        return
    for factor in MORE_NODES if attempt.served else ():
        nodes = f"{scene.facts.nodes * factor} nodes"
        found = _changed(scene, nodes)
        if found.fits:
            yield Change(
                f"{scene.facts.nodes * factor} servers like this one", f"{found.attempt.label} fits then", (), nodes
            )
            return


def _changed(scene: Scene, hardware: str) -> Choice:
    facts = what_if(scene.facts, hardware, scene.catalog)
    return choose(replace(scene, facts=facts, ground=survey(facts)))


def _added(count: int, known: str) -> str:
    return f"+{count}x {known}"


def _fewest(limit: int, planned: Callable[[int], Choice]) -> tuple[int, Choice] | None:
    """The smallest count from 1 to `limit` that fits, by halving, with its plan. Fewer never fit where more did not."""
    if limit < 1:
        return None
    low, high = 1, limit
    best = planned(high)
    if not best.fits:
        return None
    while low < high:
        middle = (low + high) // 2
        found = planned(middle)
        if found.fits:
            best, high = found, middle
        else:
            low = middle + 1
    return high, best
