"""How many more cards, or servers, would make a refused plan fit."""

from collections.abc import Callable, Iterator

from provisioner.model.facts import Unknown
from provisioner.model.record import replace
from provisioner.planning.asked.devices import entry_of
from provisioner.planning.asked.whatif import what_if
from provisioner.planning.machine.ground import survey
from provisioner.planning.remedies.offers import Offer, offer
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.choose import choose, fits

CARDS_OF_A_SERVER = 8
MORE_NODES = (2, 3, 4)


def more_cards(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """The fewest cards like those that are there, free and healthy, that a server has room for; else further servers like this one."""
    cards = scene.ground.cards
    if not cards or attempt.rung.placement == "host":
        return
    pattern = max(cards, key=lambda card: 0 if isinstance(card.memory_bytes, Unknown) else card.memory_bytes)
    entry = entry_of(scene.catalog, pattern)
    known = "" if entry is None or entry.shares_host_memory else entry.id
    count = (
        _fewest(CARDS_OF_A_SERVER - len(cards), lambda count: fits(_changed(scene, _added(count, known))))
        if known
        else 0
    )
    if count:
        found = choose(_changed(scene, _added(count, known))).attempt
        yield offer(found, f"{count} more {pattern.name}", f"{found.label} fits then", (), _added(count, known))
        return
    for factor in MORE_NODES if attempt.served else ():
        nodes = f"{scene.facts.nodes * factor} nodes"
        choice = choose(_changed(scene, nodes))
        if choice.fits:
            told = f"{choice.attempt.label} fits then"
            yield offer(choice.attempt, f"{scene.facts.nodes * factor} servers like this one", told, (), nodes)
            return


def _changed(scene: Scene, hardware: str) -> Scene:
    facts = what_if(scene.facts, hardware, scene.catalog)
    return replace(scene, facts=facts, ground=survey(facts))


def _added(count: int, known: str) -> str:
    return f"+{count}x {known}"


def _fewest(limit: int, enough: Callable[[int], bool]) -> int:
    """The smallest count from 1 to `limit` that is enough, by halving; 0 when none is. Fewer never fit where more did not."""
    if limit < 1 or not enough(limit):
        return 0
    low, high = 1, limit
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high
