"""Brings weights into the store: made on the spot, taken from this machine, downloaded, or merged; each verified by its hash."""

import hashlib
import os
from collections.abc import Callable

from provisioner.errors import RunFailed
from provisioner.model.actions import Download, MakeModel, MergeParts, TakeFile
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.spec import Spec
from provisioner.model.weights import key_of_parts
from provisioner.weights import hubs
from provisioner.world import files
from provisioner.world.store import Store

Progress = Callable[[int, int], None]
NOTES = ".part.journal"
OTHERWISE = "provision up --weights DIR   (a folder that holds the files), or another --source"
SMALL = 32 << 20
"""Hugging Face keeps files of more than 10 MB with a sha256; all others are smaller than this."""


def bring(action: MakeModel | TakeFile | Download | MergeParts, place: Place, store: Store, progress: Progress) -> None:
    """Do it; what is in the store already is not brought again."""
    folder = os.path.dirname(place.blob(""))
    files.make_folder(folder)
    sha256 = action.file.sha256 or _known(action.file, store)
    if sha256 is not None and _holds(sha256, place, store, progress):
        # A kill just after a download got its name leaves the notes about its parts.
        files.remove_file(f"{place.blob(sha256)}{NOTES}")
        return
    match action:
        case MakeModel(file=file):
            sha256 = _make(file, place)
        case TakeFile(file=file):
            sha256 = _take(file, folder, store, progress)
            store.remember_hash(file.origin, sha256)
        case Download(file=file, url=url):
            from provisioner.world.download import download

            sha256 = download(url, file, folder, progress)
        case MergeParts(file=file):
            sha256 = _merge(file, place, store, progress)
    store.remember_hash(place.blob(sha256), sha256)
    store.remember_origin(sha256, _origin(action.file, store))


def _known(file: WeightFile, store: Store) -> str | None:
    """The hash of a file of this machine that was read before and has not changed since."""
    return store.verified(file.origin) if os.path.isfile(file.origin) else None


def _holds(sha256: str, place: Place, store: Store, progress: Progress) -> bool:
    """Whether the store has these bytes; a blob that is not as it was when it was hashed is hashed again."""
    blob = place.blob(sha256)
    if sha256 in store.stored():
        return True
    if not os.path.exists(blob) or _hash(blob, progress) != sha256:
        return False
    store.remember_hash(blob, sha256)
    return True


def _hash(path: str, progress: Progress) -> str:
    from provisioner.world import intake

    descriptor = os.open(path, os.O_RDONLY)
    try:
        return intake.digest(descriptor, os.fstat(descriptor).st_size, progress)
    finally:
        os.close(descriptor)


def _make(file: WeightFile, place: Place) -> str:
    from provisioner.world import tinymodel

    made = tinymodel.sha256()
    if file.sha256 not in (None, made):
        raise RunFailed(
            f"{file.name}: the model made here has the hash {made}, and the catalog says {file.sha256}",
            fix="python -m pip install --force-reinstall provision-appliance",
        )
    return tinymodel.write(place.blob(made))


def _take(file: WeightFile, folder: str, store: Store, progress: Progress) -> str:
    from provisioner.world import intake

    return intake.take(file.origin, folder, file.sha256, _known(file, store), progress)


def _origin(file: WeightFile, store: Store) -> str:
    """Where it came from; of what is merged of parts of the store, where those came from."""
    first = file.parts[0].sha256 if file.parts else None
    known = store.origins().get(first) if first else None
    return f"merged:{os.path.dirname(known)}/{file.name}" if known else file.origin


def _merge(file: WeightFile, place: Place, store: Store, progress: Progress) -> str:
    from provisioner.world import merge

    hashes = tuple(part.sha256 or _known(part, store) or "" for part in file.parts)
    stored = store.stored()
    for part, known in zip(file.parts, hashes, strict=True):
        if known not in stored:
            raise RunFailed(f"{part.name}: this part is not in the store any more", fix="run the same command again")
    named = tuple((part.name, place.blob(known)) for part, known in zip(file.parts, hashes, strict=True))
    sha256 = merge.merge(named, file.name, os.path.dirname(place.blob("")), progress, stored)
    store.remember_merged(key_of_parts(hashes), sha256)
    return sha256


def name_offers(wanted: tuple[WeightFile, ...], spec: Spec, store: Store) -> None:
    """Ask the hub for size and hash of the files that would be downloaded, and remember its answer."""
    chosen = hubs.check_source(spec.source) if spec.source else None
    for file in wanted:
        if file.origin.startswith("hub:") and file.origin.endswith("/"):
            source, repository = hubs.repository_of(file.origin)
            _list(chosen or source, repository, store)
    one_by_one = [file for file in wanted if file.origin.startswith("hub:") and not file.origin.endswith("/")]
    places = {file.origin: hubs.place_of(file.origin) for file in one_by_one}
    for file in wanted:
        place = places.get(file.origin)
        if place is None or (file.sha256 is not None and chosen in (None, place.source)):
            continue
        _ask(chosen or place.source, place, store)


def _hashed(source: str, repository: str, file: hubs.Listed) -> str | None:
    """The sha256 of a small file, for which Hugging Face names git's hash alone: fetched once, and held against that."""
    if not file.git or file.size_bytes > SMALL:
        return None
    from provisioner.world.ranges import read_part

    url = hubs.url_of(hubs.origin_of(hubs.Place(source, repository, file.path)))
    content = read_part(url, 0, file.size_bytes, file.path)
    head = f"blob {len(content)}\0".encode()
    right = hashlib.sha1(head + content, usedforsecurity=False).hexdigest() == file.git
    return hashlib.sha256(content).hexdigest() if right else None


def _ask(source: str, place: hubs.Place, store: Store) -> None:
    from provisioner.world.http import listing

    listed = listing(source, place.repository)
    name = place.file.rsplit("/", 1)[-1]
    found = [file for file in listed if file.path == place.file or hubs.matches(name, file.path)]
    named = [(file, sha256) for file in found if (sha256 := file.sha256 or _hashed(source, place.repository, file))]
    if not found or len(named) < len(found):
        what = f"names no hash for `{place.file}`" if found else f"has no file `{place.file}`"
        raise RunFailed(
            f"{source}: the repository {place.repository} {what}",
            fix=OTHERWISE,
        )
    for file, sha256 in named:
        store.remember_offer(hubs.origin_of(hubs.Place(source, place.repository, file.path)), file.size_bytes, sha256)


def _list(source: str, repository: str, store: Store) -> None:
    """Remember all files of a checkpoint at once: half of them would be taken for the whole.

    Their headers are read, so that what contradicts itself is refused before anything of it is downloaded.
    """
    from provisioner.world.http import listing
    from provisioner.world.remote import look_at

    folder = next(iter(look_at(source, repository).folders), None)
    if folder is None or folder.problem:
        why = folder.problem if folder else "it has no config.json with safetensors"
        raise RunFailed(f"{source}: the repository {repository} cannot be served: {why}", fix=OTHERWISE)
    listed = {file.path: file for file in listing(source, repository)}
    offers: dict[str, tuple[int, str]] = {}
    for file in folder.files:
        sha256 = file.sha256 or _hashed(source, repository, listed[file.name])
        if sha256 is None:
            raise RunFailed(f"{source}: the repository {repository} names no hash for `{file.name}`", fix=OTHERWISE)
        offers[file.origin] = (file.size_bytes, sha256)
    store.remember_offers(offers)
