"""Bring the weights that are not here, round by round, until it is known which release they make."""

from typing import TYPE_CHECKING

from provisioner.errors import RunFailed
from provisioner.model.actions import Action, RemoveTree, TakeFile
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.model.release import Release
from provisioner.model.spec import Spec
from provisioner.phases.prepare import Ground, insist, look

if TYPE_CHECKING:
    from provisioner.phases.run import Run
    from provisioner.world.store import Store

ROUNDS = 3


def bring_weights(run: "Run", spec: Spec, before: Ground, store: "Store", place: Place) -> tuple[Ground, Release]:
    """Take in what is missing, and look again once its hash is known: a step that changes facts ends the round."""
    from provisioner.world.bring import name_offers

    now = before
    if now.fetches:
        # What a run that was killed left half-made takes the room that is needed now.
        run.do(tuple(RemoveTree(path) for path in now.standing.leftovers))
    for _ in range(ROUNDS):
        if not now.fetches and now.release:
            _remember_names(now.plan, store)
            return now, now.release
        name_offers(now.plan.weights, spec, store)
        now = look(spec, store, place)
        insist(now.plan)
        hash_together(now.fetches, store, place, run.progress)
        run.do(now.fetches)
        now = look(spec, store, place)
        insist(now.plan)
    raise RunFailed(f"{place.state}: the weights do not settle after {ROUNDS} rounds", fix="provision plan --explain")


def _remember_names(plan: Plan, store: "Store") -> None:
    """What each folder of weights holds: they stay when the release that says so is gone."""
    for service in plan.services:
        for folder, model in zip(service.model_folders, plan.models_of(service), strict=False):
            store.remember_label(folder.rpartition("/")[2], model.id, model.title, model.precision)


def hash_together(fetches: tuple[Action, ...], store: "Store", place: Place, progress: Progress) -> None:
    """Hash the files that will be linked before they are taken in one by one: a model comes in many parts."""
    from provisioner.world.intake import digests, would_link

    origins = [action.file.origin for action in fetches if isinstance(action, TakeFile)]
    paths = tuple(path for path in origins if would_link(path, place.state) and store.verified(path) is None)
    if len(paths) < 2:
        return
    progress.step(f"sha256sum of {len(paths)} files of weights")
    found = 0
    for status, sha256 in digests(paths, progress.bytes):
        store.remember_status(status, sha256)
        found += 1
    progress.done("done" if found == len(paths) else f"{found} of {len(paths)} could be read")
