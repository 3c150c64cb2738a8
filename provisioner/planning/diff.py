"""From what stands to what is wanted: the effects in between, and nothing when it stands already."""

import os
from collections.abc import Mapping

from provisioner.model.actions import (
    Action,
    Activate,
    Download,
    Entrust,
    LinkFile,
    LoadImages,
    MakeFolder,
    MakeKey,
    MakeModel,
    MergeParts,
    PullImage,
    RemoveFile,
    RemoveTree,
    TakeFile,
    WriteFile,
    WriteRelease,
)
from provisioner.model.plan import Plan, WeightFile
from provisioner.model.plugins import Place, Target
from provisioner.model.record import replace
from provisioner.model.release import Release, Standing

MADE = ("releases", "secrets", "logs", "live")
"""Folders that `down` removes."""

BROUGHT = ("models", "blobs", "data", "snapshots")
"""Folders that stay unless they are purged: weights are dear, and what people wrote is dearer."""

KEPT_RELEASES = 3
"""How many proved releases stay for a rollback, the one in force among them."""


def fetches(
    files: tuple[WeightFile, ...], urls: Mapping[str, str], standing: Standing, place: Place
) -> tuple[Action, ...]:
    """What brings the weights into the store; a file whose hash nobody knows yet is always taken in."""
    missing = (file for file in files if file.sha256 is None or file.sha256 not in standing.blobs)
    once = {file.sha256 or file.origin: file for file in missing}
    return tuple(_fetch(file, urls, place) for file in once.values())


def _fetch(file: WeightFile, urls: Mapping[str, str], place: Place) -> Action:
    blob = place.blob(file.sha256 or f"<sha256 of {file.name}>")
    if file.parts:
        return MergeParts(file, blob)
    if file.origin == "made":
        return MakeModel(file, blob)
    if file.origin.startswith("hub:"):
        return Download(file, urls[file.origin], blob)
    return TakeFile(file, blob)


def pulls(plan: Plan, standing: Standing) -> tuple[Action, ...]:
    """What brings the images that are not here: out of the operator's archives, each read once, else from their registries."""
    missing = [name for name in images_of(plan) if name not in standing.images]
    archives = dict.fromkeys(standing.archives[name] for name in missing if name in standing.archives)
    return (
        *(
            LoadImages(path, tuple(name for name in missing if standing.archives.get(name) == path))
            for path in archives
        ),
        *(PullImage(name) for name in missing if name not in standing.archives),
    )


def images_of(plan: Plan) -> tuple[str, ...]:
    """Every image that this machine needs, by the name that the plan gives it."""
    named = (*(one.image or "" for one in plan.services if not one.node), *(one.image for one in plan.beside))
    return tuple(dict.fromkeys(name for name in named if name))


def with_images(plan: Plan, pinned: Mapping[str, str]) -> Plan:
    """The plan with each image as that which is here: a name may mean another one tomorrow."""
    return replace(
        plan,
        services=tuple(replace(one, image=pinned.get(one.image or "", one.image)) for one in plan.services),
        beside=tuple(replace(one, image=pinned.get(one.image, one.image)) for one in plan.beside),
    )


def puts(standing: Standing, release: Release, targets: Mapping[str, Target], place: Place) -> tuple[Action, ...]:
    """What puts a release to work; whether it stays is decided after it was seen to answer."""
    keys = dict.fromkeys((*(service.key_file for service in release.services), *release.secrets))
    others = tuple(name for name in targets if name != release.target)
    linked = _links(standing, release, place)
    serving = any(one.digest == release.digest for one in standing.running)
    # An engine maps its weights: one that serves a file that was changed or exchanged is started again.
    put = targets[release.target].restart if linked and serving else targets[release.target].replace
    return (
        *(MakeKey(path) for path in keys if path not in standing.keys),
        *(MakeFolder(path) for path in release.data if path not in standing.data),
        *(made for made in release.makes if made not in standing.made),
        *linked,
        *(() if release.digest in standing.folders else (WriteRelease(release, place.release(release.digest)),)),
        *(
            WriteFile(file.path, file.content, file.mode)
            for file in release.live
            if (file.path, file.content) not in standing.live
        ),
        *(RemoveFile(path) for path in sorted(path for path, _ in standing.live) if path not in _lasting(release)),
        *_entrusts(standing, release, place),
        *(action for name in others for action in targets[name].replace(standing, None, place)),
        *put(standing, release, place),
    )


def _lasting(release: Release) -> frozenset[str]:
    return frozenset(file.path for file in release.live)


def _entrusts(standing: Standing, release: Release, place: Place) -> tuple[Entrust, ...]:
    """Another release than the one in force meets what that one's services keep."""
    data = f"{place.state}/data/"
    another = standing.current is not None and standing.current.digest != release.digest
    return (Entrust(release.digest),) if another and any(path.startswith(data) for path in standing.data) else ()


def _links(standing: Standing, release: Release, place: Place) -> tuple[LinkFile, ...]:
    return tuple(link for folder, files in release.held.items() for link in links_of(standing, files, folder, place))


def links_of(standing: Standing, files: tuple[WeightFile, ...], folder: str, place: Place) -> tuple[LinkFile, ...]:
    """The names that an engine wants for a model's files."""
    pairs = ((file, f"{folder}/{file.name}") for file in files)
    return tuple(
        LinkFile(place.blob(file.sha256), path) for file, path in pairs if file.sha256 and path not in standing.links
    )


def settles(standing: Standing, release: Release, good: tuple[str, ...], place: Place) -> tuple[Action, ...]:
    """What remains once a release is proved: it is put in force, and what is no longer needed goes."""
    kept = tuple(dict.fromkeys((release.digest, *good)))[:KEPT_RELEASES]
    return (
        *(() if standing.current and standing.current.digest == release.digest else (Activate(release.digest),)),
        *(RemoveTree(place.release(digest)) for digest in sorted(standing.folders.difference(kept))),
        *(RemoveTree(place.snapshot(digest)) for digest in sorted(standing.snapshots.difference(kept))),
        *(RemoveTree(path) for path in standing.leftovers),
        *(RemoveFile(path) for path in _unwanted(standing, release, kept)),
    )


def _unwanted(standing: Standing, release: Release, kept: tuple[str, ...]) -> list[str]:
    """Downloads that were broken off, of weights that no kept release waits for."""
    wanted = {file.sha256 for file in release.weights}.union(*(standing.weights.get(digest, ()) for digest in kept))
    awaited = wanted - standing.blobs
    return [path for path in standing.parts if os.path.basename(path).partition(".")[0] not in awaited]


def made_of(standing: Standing, place: Place) -> tuple[str, ...]:
    """What `down` removes: where people's accounts and chats stay, the keys and passwords that open them stay as well."""
    kept = ("secrets",) if f"{place.state}/data" in standing.trees else ()
    return tuple(name for name in MADE if name not in kept)


def takes_down(
    standing: Standing, targets: Mapping[str, Target], place: Place, folders: tuple[str, ...], *, active: bool
) -> tuple[Action, ...]:
    """What removes all that we made: services first, then these folders of the state."""
    present = {path.rsplit("/", 1)[-1] for path in standing.trees}
    return (
        *(action for target in targets.values() for action in target.replace(standing, None, place)),
        *((Activate(None),) if active else ()),
        *(RemoveTree(f"{place.state}/{name}") for name in folders if name in present),
        *(RemoveTree(path) for path in standing.leftovers),
    )
