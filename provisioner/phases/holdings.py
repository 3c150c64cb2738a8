"""What the store holds, read from the disk: by inode, so that a file with many names is counted once."""

import os
from collections.abc import Mapping
from contextlib import suppress

from provisioner.errors import Refused
from provisioner.model.holdings import HeldFile, HeldModel, Holdings
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place
from provisioner.model.record import dataclass
from provisioner.phases.survey import BLOCK, PARTS, kept_releases, linked, load_plan
from provisioner.weights.hubs import is_sha256
from provisioner.world.store import Store


@dataclass(frozen=True, slots=True)
class Blob:
    """One file of the store and all names that it has there."""

    sha256: str
    status: os.stat_result
    links: tuple[str, ...]


def holdings(store: Store, place: Place) -> Holdings:
    plans = {digest: load_plan(place, digest) for digest in kept_releases(place)}
    blobs = _blobs(place)
    sound, origins = frozenset(store.stored()), store.origins()
    files = {sha256: _file(blob, sound, origins) for sha256, blob in blobs.items()}
    models = _models(blobs, files, plans, store.labels())
    named = {file.sha256 for model in models for file in model.files}
    return Holdings(
        models=models,
        loose=tuple(files[sha256] for sha256 in sorted(files) if sha256 not in named),
        part_bytes=sum(_disk(os.stat(path)) for path in _parts(place)),
        in_force=store.current(),
    )


def needed(place: Place, in_force: str | None) -> Mapping[str, tuple[str, ...]]:
    """The releases that need each blob. What the release in force needs has to be known before anything goes."""
    kept = kept_releases(place)
    if in_force is not None and in_force not in kept:
        raise Refused(
            f"{place.release(in_force)}: the release in force is damaged, so what it needs is not known",
            fix="provision up   (writes it anew)",
        )
    found: dict[str, tuple[str, ...]] = {}
    for digest in kept:
        for file in load_plan(place, digest).weights:
            if file.sha256:
                found[file.sha256] = (*found.get(file.sha256, ()), digest)
    return found


def _blobs(place: Place) -> dict[str, Blob]:
    by_inode: dict[int, list[str]] = {}
    for path in linked(place.state):
        with suppress(FileNotFoundError):
            by_inode.setdefault(os.lstat(path).st_ino, []).append(path.removeprefix(f"{place.state}/models/"))
    found = {}
    for sha256 in filter(is_sha256, _names(os.path.dirname(place.blob("")))):
        status = os.stat(place.blob(sha256))
        found[sha256] = Blob(sha256, status, tuple(by_inode.get(status.st_ino, ())))
    return found


def _file(blob: Blob, sound: frozenset[str], origins: Mapping[str, str]) -> HeldFile:
    origin = origins.get(blob.sha256, "")
    name = blob.links[0].partition("/")[2] if blob.links else origin.rpartition("/")[2] or blob.sha256[:12]
    return HeldFile(
        name=name,
        sha256=blob.sha256,
        size_bytes=blob.status.st_size,
        disk_bytes=_disk(blob.status),
        origin=origin,
        sound=blob.sha256 in sound,
        shared=blob.status.st_nlink > 1 + len(blob.links),
    )


def _disk(status: os.stat_result) -> int:
    return status.st_blocks * BLOCK


def _models(
    blobs: Mapping[str, Blob],
    files: Mapping[str, HeldFile],
    plans: Mapping[str, Plan],
    labels: Mapping[str, tuple[str, str, str]],
) -> tuple[HeldModel, ...]:
    from provisioner.model.record import replace

    folders: dict[str, list[HeldFile]] = {}
    for sha256, blob in blobs.items():
        for link in blob.links:
            folder, _, name = link.partition("/")
            folders.setdefault(folder, []).append(replace(files[sha256], name=name))
    return tuple(
        _model(folder, tuple(sorted(held, key=lambda file: file.name)), plans, labels)
        for folder, held in sorted(folders.items())
    )


def _model(
    folder: str,
    files: tuple[HeldFile, ...],
    plans: Mapping[str, Plan],
    labels: Mapping[str, tuple[str, str, str]],
) -> HeldModel:
    """Of which model a folder is, its plan says, or whoever added it; else its name has to do."""
    served = {
        digest: model
        for digest, plan in plans.items()
        for one in plan.services
        for where, model in zip(one.model_folders, plan.models_of(one), strict=False)
        if where.rpartition("/")[2] == folder
    }
    for model in served.values():
        return HeldModel(folder, model.id, model.title, model.precision, files, tuple(served))
    own = (file.name.removesuffix(".gguf") for file in files if file.name.endswith(".gguf") and "/" not in file.name)
    title = next(own, folder)
    return HeldModel(folder, *labels.get(folder, (title, title, "")), files)


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parts(place: Place) -> list[str]:
    folder = os.path.dirname(place.blob(""))
    return [f"{folder}/{name}" for name in _names(folder) if name.endswith(PARTS)]
