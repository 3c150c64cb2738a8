"""What people wrote, kept before a change that may not be taken back otherwise, and brought back with the release that it is of."""

import os
from collections.abc import Mapping

from provisioner.model.actions import Action, MakeFolder, RestoreSnapshot, TakeSnapshot
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place, Target
from provisioner.model.release import Standing
from provisioner.phases.enforce import Return
from provisioner.phases.survey import load_plan
from provisioner.world import snapshots
from provisioner.world.store import Store

KEEPS = ("openwebui",)
"""Services whose data is people's: accounts, chats, files. What others keep are measurements, which outlive a release as they are."""


def takes(standing: Standing, folder: str, store: Store, place: Place) -> tuple[TakeSnapshot, ...]:
    """What keeps the data as it is; nothing where there is none.

    Nor where it was done by a run that was cut off: what that had begun since may have changed the data.
    """
    names = tuple(name for name in KEEPS if place.data(name) in standing.data)
    action = TakeSnapshot(f"{place.state}/data", names, folder)
    taken = (str(action), "done") in _unsettled(store) and os.path.isdir(folder)
    return (action,) if names and not taken else ()


def takes_for_another(plan: Plan, standing: Standing, store: Store, place: Place) -> tuple[TakeSnapshot, ...]:
    """The same before a plan whose services are of other images than those in force: they may give their databases another form."""
    if standing.current is None:
        return ()
    digest = standing.current.digest
    same = images_of(plan) == images_of(load_plan(place, digest))
    return () if same else takes(standing, place.snapshot(digest), store, place)


def images_of(plan: Plan) -> dict[str, str]:
    """Of the containers whose data is people's."""
    return {one.name: one.image for one in plan.beside if one.kind in KEEPS}


def _unsettled(store: Store) -> set[tuple[str, str]]:
    """Steps, with what came of them, of this run and of those that were cut off since the last one that came to an end."""
    found: set[tuple[str, str]] = set()
    for entry in store.history():
        if entry.outcome not in ("interrupted", "running"):
            break
        found |= {(line, result) for line, result, _ in store.steps(entry.run)}
    return found


def kept(place: Place, digest: str) -> tuple[str, ...]:
    """The services of whose data there is a snapshot of that release."""
    folder = place.snapshot(digest)
    return tuple(sorted(os.listdir(folder))) if os.path.isdir(folder) else ()


def exchanges(
    standing: Standing, digest: str, store: Store, targets: Mapping[str, Target], place: Place
) -> tuple[Action, ...]:
    """What gives services the data of that release's time; today's is kept with the release that is left, or aside."""
    left = store.current()
    folder = place.snapshot(left) if left and left != digest else aside(place, digest)
    names = kept(place, digest)
    return (
        *stops(standing, targets, place),
        *takes(standing, folder, store, place),
        *(MakeFolder(place.data(name)) for name in names if place.data(name) not in standing.data),
        RestoreSnapshot(place.snapshot(digest), f"{place.state}/data", names),
    )


def undoes(
    exchange: tuple[Action, ...], store: Store, now: Standing, targets: Mapping[str, Target], place: Place
) -> Return:
    """What takes an exchange back, as far as it came: before its last step the data is what it was."""
    begun = {line for line, _ in _unsettled(store)}
    taken = [action.folder for action in exchange if isinstance(action, TakeSnapshot)]
    left = store.current()
    folder = next(iter(taken), place.snapshot(left) if left else "")
    names = tuple(sorted(os.listdir(folder))) if os.path.isdir(folder) else ()
    if str(exchange[-1]) not in begun or not names:
        return (), ""
    return (*stops(now, targets, place), RestoreSnapshot(folder, f"{place.state}/data", names)), ", with its own data"


def changed(place: Place, digest: str) -> tuple[str, ...]:
    """Those whose database has another form than in that release's time."""
    return snapshots.differing(place.snapshot(digest), f"{place.state}/data", kept(place, digest))


def stops(now: Standing, targets: Mapping[str, Target], place: Place) -> tuple[Action, ...]:
    """Everything, before data is brought back: a database that changes below whoever reads it is none."""
    return tuple(action for target in targets.values() for action in target.replace(now, None, place))


def aside(place: Place, digest: str) -> str:
    """Where to keep what was written under a release that is given up; it stays until somebody looks at it."""
    folder = f"{place.state}/data/left-{digest[:12]}"
    number = 2
    while os.path.exists(folder):
        folder, number = f"{place.state}/data/left-{digest[:12]}-{number}", number + 1
    return folder
