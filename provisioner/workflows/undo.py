"""`down` and `rollback`: away with it, or back to what was in force before."""

import os
from typing import TYPE_CHECKING

from provisioner.errors import BadInput, Refused
from provisioner.model.actions import Action
from provisioner.model.outcome import Removed, RolledBackTo
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.model.release import Standing
from provisioner.model.report import Report
from provisioner.workflows import QUIET, place_of, targets

if TYPE_CHECKING:
    from provisioner.world.store import Store


def down(state_dir: str, purge: bool = False, progress: Progress = QUIET, wait: float = 0.0) -> Removed:
    """Remove what was made and nothing else; weights and history stay unless they are purged."""
    from provisioner.phases.owed import pays
    from provisioner.phases.run import Run, mark_interrupted
    from provisioner.phases.survey import insist_on_sight, survey
    from provisioner.planning.diff import BROUGHT, MADE, made_of, takes_down
    from provisioner.world import database as stores
    from provisioner.world.execute import Executor

    place = place_of(state_dir)
    if not stores.is_ours(place.state):
        return Removed(None)
    with stores.locked(place.state, "down", wait) as store:
        mark_interrupted(store)
        standing = survey(store, place)
        insist_on_sight(standing, place)
        folders = (*MADE, *BROUGHT) if purge else made_of(standing, place)
        paid = () if purge else pays(standing, store, targets(), place)[0]
        actions = (*paid, *takes_down(standing, targets(), place, folders, active=store.current() is not None))
        applied = None
        if actions:
            run = Run("down", None, store, Executor(place, store, progress), progress)
            try:
                run.do(actions)
            except KeyboardInterrupt:
                raise
            except Exception:
                run.close("failed")
                raise
            applied = run.close("good")
        if purge:
            stores.purge(store)
    kept = () if purge else _kept(place)
    return Removed(applied, kept)


def _kept(place: Place) -> tuple[str, ...]:
    from provisioner.planning.asked.amounts import size as amount

    blobs = f"{place.state}/blobs/sha256"
    size = sum(entry.stat().st_size for entry in os.scandir(blobs)) if os.path.isdir(blobs) else 0
    weights = (f"{amount(size)} of weights in {blobs} (`provision down --purge` removes them)",) if size else ()
    return (*weights, f"the history in {place.database}")


def rollback(
    state_dir: str, to: str | None, progress: Progress = QUIET, wait: float = 0.0, *, with_data: bool = False
) -> RolledBackTo:
    """Execute an older release again, prove it, and keep it; with the data of its time where that is asked for."""
    from provisioner.phases import snapshots
    from provisioner.phases.enforce import Change, enforce
    from provisioner.phases.learn import learn
    from provisioner.phases.owed import pays
    from provisioner.phases.prepare import facts_here
    from provisioner.phases.run import Run, mark_interrupted
    from provisioner.phases.survey import insist_on_sight, load, load_plan, survey
    from provisioner.world.database import is_ours, locked
    from provisioner.world.execute import Executor

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing was ever set up here", fix="provision up")
    with locked(place.state, "rollback", wait) as store:
        mark_interrupted(store)
        standing = survey(store, place)
        insist_on_sight(standing, place)
        previous = standing.current.digest if standing.current else None
        digest = _earlier(store.good_releases(), standing.folders, previous, to)
        release = load(place, digest)
        gone = [file.name for file in release.weights if file.sha256 not in standing.blobs]
        if gone:
            raise Refused(
                f"{place.state}: the weights of release {digest[:12]} are gone or were changed: {', '.join(gone)}",
                fix="bring them again with `provision up`, or choose another release: `provision history`",
            )
        if with_data and not snapshots.kept(place, digest):
            raise Refused(
                f"{place.state}: of release {digest[:12]} no data is kept",
                fix="the same without `--with-data`: the release comes back, and everything that people wrote stays",
            )
        if not with_data and snapshots.changed(place, digest):
            raise Refused(
                f"{place.state}: the databases have another form since release {digest[:12]} was left, and it may not read them",
                fix=f"provision rollback --to {digest[:12]} --with-data   (its own data comes back; today's is kept)",
            )
        plan, facts = load_plan(place, digest), facts_here()
        exchange = snapshots.exchanges(standing, digest, store, targets(), place) if with_data else ()
        first = (*_owed(standing, store, place, digest, with_data=with_data), *exchange)
        run = Run("rollback", digest, store, Executor(place, store, progress), progress)
        change = Change(
            run, release, plan, facts, standing, targets(), place, first=first,
            data_back=lambda now: snapshots.undoes(exchange, store, now, targets(), place)
            if exchange else pays(now, store, targets(), place),
        )  # fmt: skip
        applied, _, findings = enforce(change)
        return RolledBackTo(
            digest, previous, applied, Report((*findings, *learn(plan, store, place, standing.running)), 0)
        )


def _owed(standing: Standing, store: "Store", place: Place, digest: str, *, with_data: bool) -> tuple[Action, ...]:
    """What an earlier run owes to people's data, unless this one goes on with the very exchange that was cut off."""
    from provisioner.phases.owed import left, pays

    found = left(store, place)
    again = with_data and found.exchanged and found.trusted == digest
    return () if again else pays(standing, store, targets(), place, digest)[0]


def _earlier(good: tuple[str, ...], folders: frozenset[str], current: str | None, to: str | None) -> str:
    kept = [digest for digest in good if digest in folders]
    if to is not None:
        found = [digest for digest in kept if digest.startswith(to)]
        if len(found) == 1:
            return found[0]
        known = ", ".join(digest[:12] for digest in kept) or "none"
        raise BadInput(f"no kept release is named {to}", fix=f"one of: {known}   (`provision history` lists them)")
    others = [digest for digest in kept if digest != current]
    if not others:
        raise Refused("there is no earlier release to go back to", fix="provision history   (lists what was in force)")
    return others[0]
