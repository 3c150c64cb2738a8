"""Models in the store: brought without starting anything, verified, and removed where no kept release needs them."""

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from provisioner import catalog
from provisioner.errors import BadInput, Refused, RunFailed
from provisioner.model.actions import Action, Download, RemoveFile, RemoveTree
from provisioner.model.holdings import Damage, HeldFile, HeldModel, Holdings, Moved, Verified
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.model.spec import Spec
from provisioner.phases.bring import ROUNDS, hash_together
from provisioner.phases.holdings import holdings, needed
from provisioner.phases.prepare import urls_of
from provisioner.phases.run import Run, mark_interrupted
from provisioner.phases.survey import survey, with_hub
from provisioner.planning.diff import fetches, links_of
from provisioner.planning.serving.service import model_path
from provisioner.planning.sources.hold import subject_of
from provisioner.planning.sources.stock import Subject
from provisioner.weights.shelf import shelf
from provisioner.world.bring import name_offers
from provisioner.world.database import is_ours, locked, reading
from provisioner.world.execute import Executor
from provisioner.world.store import Store

Keepers = Mapping[str, tuple[str, ...]]
"""The releases that need each blob."""
Result = TypeVar("Result")


def listed(place: Place) -> Holdings:
    with reading(place.state) as store:
        return holdings(store, place)


def add(spec: Spec, kind: str | None, place: Place, progress: Progress, wait: float) -> Moved:
    """Bring a model into the store, to be there when it is wanted; broken off, the next run goes on from there."""
    with reading(place.state) as store:
        _wanted(spec, kind, store, place)  # What cannot be had shall not even leave a folder.
    with locked(place.state, "model add", wait) as store:
        mark_interrupted(store)
        run = Run("model add", None, store, Executor(place, store, progress), progress)
        folder = _closing(run, lambda: _bring(run, spec, kind, store, place))
        held = tuple(model for model in holdings(store, place).models if model.folder == folder)
        return Moved("add", held, changed=bool(run.steps))


def _wanted(spec: Spec, kind: str | None, store: Store, place: Place) -> Subject:
    books = catalog.load_catalog()
    return subject_of(spec, kind, books, with_hub(spec, shelf(spec, store, place), books))


def _bring(run: Run, spec: Spec, kind: str | None, store: Store, place: Place) -> str:
    """The folder that the model lies in."""
    for _ in range(ROUNDS):
        subject = _wanted(spec, kind, store, place)
        standing = survey(store, place)
        missing = fetches(subject.files, urls_of(subject.files), standing, place)
        if not missing:
            folder = _folder(subject, place)
            run.do(links_of(standing, subject.files, folder, place))
            name = os.path.basename(folder)
            store.remember_label(name, subject.id, subject.title, subject.precision)
            return name
        name_offers(subject.files, spec, store)
        subject = _wanted(spec, kind, store, place)
        missing = fetches(subject.files, urls_of(subject.files), standing, place)
        _insist_on_room(missing, place)
        hash_together(missing, store, place, run.progress)
        run.do(missing)
    raise RunFailed(f"{place.state}: the weights do not settle after {ROUNDS} rounds", fix="run the same command again")


def _folder(subject: Subject, place: Place) -> str:
    path = model_path(subject, place)
    return os.path.dirname(path) if path.endswith(".gguf") else path


def _insist_on_room(actions: tuple[Action, ...], place: Place) -> None:
    """All of it, before the first byte: a model that fits by half is of no use."""
    wanted = sum(one.file.size_bytes for one in actions if isinstance(one, Download))
    folder = f"{place.state}/blobs"
    here = os.statvfs(folder if os.path.isdir(folder) else place.state)
    free = here.f_bavail * here.f_frsize
    had = listed(place).part_bytes
    if wanted - had > free:
        raise RunFailed(
            f"{place.state}: {wanted / 2**30:.1f} GiB are to be downloaded, and {free / 2**30:.1f} GiB are free",
            fix="provision model remove --unused   (frees what no release needs), or another --state-dir",
        )


def verify(names: tuple[str, ...], place: Place, progress: Progress) -> Verified:
    """Read every byte again. What is damaged is no longer counted as stored, so that the next run brings it anew."""
    with reading(place.state) as store:
        held = holdings(store, place)
    models = chosen(held, names) if names else held.models
    wanted = {file.sha256: (model.id, file) for model in models for file in model.files}
    if not names:
        wanted |= {file.sha256: ("", file) for file in held.loose}
    found = _hashes(wanted, place, progress)
    damaged = tuple(
        Damage(model, file, found.get(sha256, ""))
        for sha256, (model, file) in wanted.items()
        if found.get(sha256) != sha256
    )
    if damaged:
        with locked(place.state, "model verify", wait_seconds=60.0) as store:
            for one in damaged:
                store.forget_hash(one.file.sha256)
    return Verified(models, len(wanted), sum(file.size_bytes for _, file in wanted.values()), damaged)


def _hashes(wanted: Iterable[str], place: Place, progress: Progress) -> dict[str, str]:
    """By the hash that a file is named by, the one that it has."""
    from provisioner.world.intake import digests

    paths = {place.blob(sha256): sha256 for sha256 in wanted}
    if not paths:
        return {}
    inodes = {os.stat(path).st_ino: sha256 for path, sha256 in paths.items() if os.path.exists(path)}
    progress.step(f"sha256sum of {len(paths)} files of weights")
    found = {inodes[status.st_ino]: sha256 for status, sha256 in digests(tuple(paths), progress.bytes)}
    progress.done("done")
    return found


def remove(names: tuple[str, ...], place: Place, progress: Progress, wait: float, *, unused: bool) -> Moved:
    """What no kept release needs; one that does is named, and nothing goes."""
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing was ever brought here", fix="provision model add NAME")
    with locked(place.state, "model remove", wait) as store:
        mark_interrupted(store)
        held = holdings(store, place)
        keepers = needed(place, held.in_force)
        going = tuple(model for model in held.models if not _keepers(model, keepers)) if unused else chosen(held, names)
        for model in going:
            _insist_on_unneeded(model, keepers, held.in_force)
        staying = {file.sha256 for model in held.models if model not in going for file in model.files}
        free = _free(held, going, staying.union(keepers), unused=unused)
        actions: tuple[Action, ...] = (
            *(RemoveTree(f"{place.state}/models/{model.folder}") for model in going),
            *(RemoveFile(place.blob(file.sha256)) for file in free),
        )
        run = Run("model remove", None, store, Executor(place, store, progress), progress)
        _closing(run, lambda: run.do(actions))
        freed = sum(file.disk_bytes for file in free if not file.shared)
        return Moved("remove", going, changed=bool(actions), freed_bytes=freed)


def _free(held: Holdings, going: tuple[HeldModel, ...], staying: set[str], *, unused: bool) -> tuple[HeldFile, ...]:
    """Files that go with their models, each once; with `unused` those of no model as well."""
    found = {file.sha256: file for model in going for file in model.files}
    if unused:
        found |= {file.sha256: file for file in held.loose}
    return tuple(file for sha256, file in found.items() if sha256 not in staying)


def _keepers(model: HeldModel, keepers: Keepers) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys((*model.releases, *(one for file in model.files for one in keepers.get(file.sha256, ()))))
    )


def _insist_on_unneeded(model: HeldModel, keepers: Keepers, in_force: str | None) -> None:
    needing = _keepers(model, keepers)
    if not needing:
        return
    words = ", ".join(f"{one[:12]}{' (in force)' if one == in_force else ''}" for one in needing)
    raise Refused(
        f"{model.id}: kept releases need it: {words}",
        fix="bring up another model: old releases go by themselves; or `provision down`, after which none is kept",
    )


def chosen(held: Holdings, names: tuple[str, ...]) -> tuple[HeldModel, ...]:
    """The models of these names: an id, an id and a precision (`qwen3-8b:q8_0`), or the name of a folder."""
    found: dict[str, HeldModel] = {}
    for name in names:
        meant = [one for one in held.models if name in (one.folder, one.id, f"{one.id}:{one.precision}")]
        precisions = [f"{one.id}:{one.precision}" for one in meant]
        if not meant:
            known = ", ".join(dict.fromkeys(one.id for one in held.models)) or "none"
            raise BadInput(f"{name}: no model of this name is in the store", fix=f"one of: {known}")
        if len(meant) > 1:
            same = len(set(precisions)) < len(precisions)
            several = ", ".join(one.folder for one in meant) if same else ", ".join(precisions)
            raise BadInput(f"{name}: {len(meant)} models have this name", fix=f"one of: {several}")
        found[meant[0].folder] = meant[0]
    return tuple(found.values())


def _closing(run: Run, work: Callable[[], Result]) -> Result:
    """The run, with its end in the journal whatever comes."""
    try:
        result = work()
    except BaseException as error:
        run.close("failed" if isinstance(error, Exception) else "interrupted")
        raise
    run.close("good")
    return result
