"""What stands on this machine before anything is done: releases, running services, weights, keys, half-made things."""

import json
import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from provisioner.catalog import Catalog
from provisioner.documents import decode
from provisioner.errors import Refused
from provisioner.model.plan import Plan, WeightFile
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.model.spec import Spec
from provisioner.model.weights import CheckpointFolder, Shelf
from provisioner.rendering import data_of, digest_of, drafts_of, held_by, live_of, part_of, secrets_of
from provisioner.world import containers, processes, units
from provisioner.world.database import FOLDERS
from provisioner.world.store import Store

if TYPE_CHECKING:
    from provisioner.world.remote import Found

HALF = ".tmp"
REPOSITORY = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
PARTS_OF_CONTAINERS = "parts.json"
BLOCK = 512
"""`st_blocks` counts in these, whatever the file system's own are."""
PARTS = (".part", ".part.journal")
"""The ends of what a download writes until it is whole."""


def survey(store: Store, place: Place) -> Standing:
    """Read it all from the disk and from /proc, so that no record of ours can be wrong about it."""
    state = place.state
    digest = store.current()
    current = _in_force(place, digest) if digest else None
    folders = frozenset(_releases(place)) - ({digest} if digest and not current else set())
    stored = store.stored()
    parts = _parts(state)
    return Standing(
        current=current,
        running=running(state, digest),
        blobs=frozenset(stored),
        keys=frozenset(f"{state}/secrets/{name}" for name in _names(f"{state}/secrets") if not name.endswith(HALF)),
        folders=folders,
        links=frozenset(path for path in linked(state) if os.lstat(path).st_ino in stored.values()),
        units=frozenset(units.ours(place)),
        leftovers=(*_leftovers(state), *units.half_made(place)),
        trees=frozenset(f"{state}/{name}" for name in FOLDERS if _names(f"{state}/{name}")),
        enabled=frozenset(units.enabled(place)),
        parts=parts,
        data=frozenset(path for name in ("data", "secrets") for path in _folders(f"{state}/{name}")),
        snapshots=frozenset(name for name in _names(f"{state}/snapshots") if not name.endswith(HALF)),
        live=frozenset((file.path, file.content) for file in _live(place)),
        weights={digest: _weights(place, digest) for digest in folders} if parts else {},
    )


def insist_on_sight(standing: Standing, place: Place) -> None:
    """Refuse to change what nobody can see: containers may run on, and start again with their engine."""
    contained = standing.current is not None and standing.current.target == containers.TARGET
    seen = any(one.target == containers.TARGET for one in standing.running)
    why = containers.silence(place.state) if contained and not seen else ""
    if why:
        raise Refused(
            f"{place.state}: Docker Engine does not answer ({why}), and its containers cannot be stopped or replaced",
            fix="systemctl start docker, then the same command again",
        )


def is_repository(model: str) -> bool:
    """Whether a model is named as hubs name it: `owner/name`, which is no file of this machine."""
    owner, _, name = model.partition("/")
    words = all(part and part[0] not in ".-" and not set(part) - set(REPOSITORY) for part in (owner, name))
    return words and not model.lower().endswith(".gguf") and not os.path.exists(model)


def with_hub(spec: Spec, shelf: Shelf, books: Catalog) -> Shelf:
    """The shelf, and on it what a hub has of a model that the catalog does not know: headers and sizes, no weights.

    It is asked once a run.
    """
    for model in spec.models:
        shelf = with_hub(replace(spec, model=model, models=()), shelf, books)
    if spec.model is None or not is_repository(spec.model) or not isinstance(shelf.offered, tuple):
        return shelf
    from provisioner.planning.asked.names import of_catalog
    from provisioner.weights import hubs

    if of_catalog(books, spec.model) is not None:
        return shelf
    found = _asked(hubs.check_source(spec.source or hubs.HUGGINGFACE), spec.model, spec.precision or "")
    return replace(
        shelf,
        folders=(*shelf.folders, *(_with_hashes(folder, shelf.offered) for folder in found.folders)),
        local=(*shelf.local, *found.local),
        offered=(*shelf.offered, *found.offered),
    )


def _with_hashes(folder: CheckpointFolder, offered: tuple[WeightFile, ...]) -> CheckpointFolder:
    """Hashes of small files that were learned since the folder was looked at."""
    known = {file.origin: file.sha256 for file in offered}
    return replace(
        folder, files=tuple(replace(file, sha256=file.sha256 or known.get(file.origin)) for file in folder.files)
    )


@cache
def _asked(source: str, repository: str, precision: str) -> "Found":
    from provisioner.world.remote import look_at

    return look_at(source, repository, precision)


def running(state: str, current: str | None = None) -> tuple[Running, ...]:
    """The services of this state folder that run now; each is of the release whose files it was made from, and of the one in force
    where it is of that one as well.
    """
    found = tuple(_as_in_force(one, state, current) for one in processes.running(state))
    if not containers.rendered(state):
        return found
    releases = {digest: frozenset(_parts_of(state, digest).items()) for digest in _names(f"{state}/releases")}
    ordered = sorted(releases, key=lambda digest: digest != current)
    return (*found, *(replace(one, digest=_release_of(one, ordered, releases)) for one in containers.running(state)))


def _as_in_force(one: Running, state: str, current: str | None) -> Running:
    """A process that was started from an earlier release with the same unit is one of the release in force."""
    if current is None or not one.part or one.digest == current:
        return one
    try:
        with open(f"{state}/releases/{current}/units/{one.service}.json", encoding="utf-8") as stream:
            return replace(one, digest=current) if part_of(stream.read()) == one.part else one
    except OSError:
        return one


def _release_of(one: Running, ordered: list[str], releases: Mapping[str, frozenset[tuple[str, str]]]) -> str:
    """The release in force, where it is of that one as well; empty where its release is gone."""
    return next((digest for digest in ordered if (one.service, one.part) in releases[digest]), "")


def _parts_of(state: str, digest: str) -> dict[str, str]:
    """What each container of a release is made from; nothing for one that starts none, or that is damaged."""
    try:
        with open(f"{state}/releases/{digest}/{PARTS_OF_CONTAINERS}", encoding="utf-8") as stream:
            parts = json.load(stream)
    except (OSError, ValueError):
        return {}
    return {str(name): str(part) for name, part in parts.items()} if isinstance(parts, dict) else {}


def load(place: Place, digest: str) -> Release:
    """A release as it was written, held against its digest."""
    if not _whole(place, digest):
        raise Refused(
            f"{place.release(digest)}: the files of this release were changed after it was written",
            fix="provision up   (writes it anew)",
        )
    plan, files = load_plan(place, digest), _files(place.release(digest))
    return Release(
        digest=digest,
        target=plan.target or "",
        files=files,
        services=plan.services,
        held=held_by(plan),
        live=live_of(plan, files, place),
        secrets=secrets_of(plan, place),
        data=data_of(plan, place),
        makes=plan.makes,
    )


def load_plan(place: Place, digest: str) -> Plan:
    """The plan that a release was rendered from."""
    from provisioner.world.files import explain

    path = f"{place.release(digest)}/plan.json"
    try:
        with open(path, encoding="utf-8") as stream:
            return cast(Plan, decode(Plan, json.load(stream), "plan.json"))
    except PermissionError as error:
        raise explain(error, "reading the release in force") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Refused(
            f"{path}: the release in force is damaged: {reason}", fix="provision up   (writes it anew)"
        ) from error


def _in_force(place: Place, digest: str) -> Release | None:
    """None where its files are gone or damaged: it is written anew."""
    try:
        return load(place, digest)
    except Refused:
        return None


def _releases(place: Place) -> list[str]:
    return [name for name in _names(f"{place.state}/releases") if not name.endswith(HALF) and _is_complete(place, name)]


def kept_releases(place: Place) -> tuple[str, ...]:
    """Digests of all releases that could be put to work."""
    return tuple(_releases(place))


def _is_complete(place: Place, digest: str) -> bool:
    """Whether a release could be put to work again: its files are as written, and its plan can be read."""
    try:
        return _whole(place, digest) and bool(load_plan(place, digest).services)
    except Refused:
        return False


def _whole(place: Place, digest: str) -> bool:
    """Whether a release is as it was written: it is named by the hash of its files."""
    folder = place.release(digest)
    try:
        return digest_of(drafts_of(_files(folder), folder)) == digest
    except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
        return False


def _files(folder: str) -> tuple[ReleaseFile, ...]:
    return tuple(sorted(_read(folder, ""), key=lambda file: file.path))


def _live(place: Place) -> list[ReleaseFile]:
    files = _read(place.live, "") if os.path.isdir(place.live) else []
    return [replace(file, path=f"{place.live}/{file.path}") for file in files]


def _read(folder: str, below: str) -> list[ReleaseFile]:
    found = []
    for entry in os.scandir(os.path.join(folder, below)):
        name = f"{below}/{entry.name}" if below else entry.name
        if entry.is_dir(follow_symlinks=False):
            found.extend(_read(folder, name))
        else:
            with open(entry.path, encoding="utf-8") as stream:
                found.append(ReleaseFile(name, stream.read(), entry.stat().st_mode & 0o777))
    return found


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _folders(folder: str) -> list[str]:
    return [path for name in _names(folder) for path in (f"{folder}/{name}",) if os.path.isdir(path)]


def linked(state: str) -> list[str]:
    """Every name of a model's files; those of adapters and of what drafts lie in folders below the model's own."""
    return [f"{folder}/{name}" for folder, _, names in os.walk(f"{state}/models") for name in sorted(names)]


def _leftovers(state: str) -> list[str]:
    folders = (*(f"{state}/{name}" for name in FOLDERS), f"{state}/blobs/sha256")
    deep = (*(folder for folder, _, _ in os.walk(f"{state}/models")), *_folders(f"{state}/live"))
    halves = [f"{state}/{name}{HALF}" for name in FOLDERS if os.path.lexists(f"{state}/{name}{HALF}")]
    return halves + [
        f"{folder}/{name}" for folder in dict.fromkeys((*folders, *deep)) if os.path.isdir(folder)
        for name in _names(folder) if name.endswith(HALF)
    ]  # fmt: skip


def _parts(state: str) -> tuple[str, ...]:
    return tuple(f"{state}/blobs/sha256/{name}" for name in _names(f"{state}/blobs/sha256") if name.endswith(PARTS))


def half_made_bytes(standing: Standing, plan: Plan) -> int:
    """What files take that the next run goes on from, where it wants them, or that it removes before it begins."""
    wanted = {file.sha256 for file in plan.weights}
    parts = (path for path in standing.parts if os.path.basename(path).partition(".")[0] in wanted)
    found = (os.stat(path) for path in (*parts, *standing.leftovers) if os.path.isfile(path))
    # A second name of a file that stays gives nothing back.
    return sum(status.st_blocks * BLOCK for status in found if status.st_nlink == 1)


def _weights(place: Place, digest: str) -> frozenset[str]:
    return frozenset(file.sha256 for file in load_plan(place, digest).weights if file.sha256)
