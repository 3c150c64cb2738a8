"""What runs that came to no good end owe to people's data: to be as the release in force left it, or as the
next one makes it.

The journal tells: a release is entrusted with the data before it starts, and what is brought back is noted like every step.
"""

from collections.abc import Iterator, Mapping

from provisioner.errors import Refused
from provisioner.model.actions import BROUGHT_BACK, ENTRUSTED, Action, MakeFolder, RestoreSnapshot, TakeSnapshot
from provisioner.model.plugins import Place, Target
from provisioner.model.record import dataclass, replace
from provisioner.model.release import Standing
from provisioner.phases import snapshots
from provisioner.phases.enforce import Return
from provisioner.phases.survey import load_plan
from provisioner.world.store import Store


@dataclass(frozen=True, slots=True)
class Left:
    """What became of the data since the release in force had it; nothing is said where no snapshot is from then."""

    taken: bool = False
    trusted: str = ""
    """The release that was last entrusted with it, and did not stay."""
    exchanged: bool = False
    """Data of another time was put in its place, or its own was begun to be and is not whole."""


def left(store: Store, place: Place) -> Left:
    """Read from the journal, from the first step after the last run that ended well."""
    current = store.current() or ""
    names, data = snapshots.kept(place, current), f"{place.state}/data"
    took = str(TakeSnapshot(data, names, place.snapshot(current)))
    brought = str(RestoreSnapshot(place.snapshot(current), data, names))
    found = Left()
    for release, line, result in _steps(store, current):
        if line in (took, brought) and result == "done":
            found = Left(taken=True)
        elif line.endswith(BROUGHT_BACK):
            found = replace(found, exchanged=True, trusted=found.trusted if line == brought else release)
        elif line.startswith(ENTRUSTED):
            found = replace(found, trusted=release)
    return found if found.taken and names else Left()


def _steps(store: Store, current: str) -> Iterator[tuple[str, str, str]]:
    """The release that a run was for, what it did, and what came of it."""
    for entry in reversed(store.unsettled()):
        for line, result, _ in store.steps(entry.run) if entry.previous == current else ():
            yield entry.release or "", line, result


def pays(standing: Standing, store: Store, targets: Mapping[str, Target], place: Place, digest: str = "") -> Return:
    """What brings the data back before another release than that which was entrusted with it starts; what was written meanwhile is kept."""
    found = left(store, place)
    current = store.current() or ""
    goes_on = bool(digest) and found.trusted == digest != current and not found.exchanged
    if goes_on or not _spoilt(found, standing, place, current):
        return (), ""
    data, names = f"{place.state}/data", snapshots.kept(place, current)
    there = tuple(name for name in names if place.data(name) in standing.data)
    folder = snapshots.aside(place, found.trusted or current)
    actions: tuple[Action, ...] = (
        *snapshots.stops(standing, targets, place),
        *((TakeSnapshot(data, there, folder),) if there else ()),
        *(MakeFolder(place.data(name)) for name in names if name not in there),
        RestoreSnapshot(place.snapshot(current), data, names),
    )
    return actions, f", with the data from before it; what was written meanwhile is kept in {folder}"


def _spoilt(found: Left, standing: Standing, place: Place, current: str) -> bool:
    if found.exchanged or not found.trusted:
        return found.exchanged
    return bool(snapshots.changed(place, current)) or _is_about_to(found.trusted, standing, place, current)


def _is_about_to(trusted: str, standing: Standing, place: Place, current: str) -> bool:
    """Whether a page of another image runs that may change its database before it is stopped."""
    runs = {one.service for one in standing.running if one.alive and one.digest != current}
    ours, theirs = _pages(place, current), _pages(place, trusted)
    return ours != theirs and not runs.isdisjoint((*ours, *theirs))


def _pages(place: Place, digest: str) -> dict[str, str]:
    """By name the images of a release's pages; none where its plan is gone."""
    try:
        return snapshots.images_of(load_plan(place, digest))
    except Refused:
        return {}
