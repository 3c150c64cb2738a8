"""What weights are at hand: in the store, in the operator's folder, and what the hub offered when it was asked."""

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Adapter, CheckpointFolder, GgufHeader, LocalFile, Shelf
from provisioner.weights import hubs
from provisioner.weights.formats import is_weights, refusal
from provisioner.weights.sidecars import claims

if TYPE_CHECKING:
    from provisioner.world.store import Store

DEEPEST = 6
"""How many folders deep a weights folder is searched; caches of the hubs are four deep."""


def shelf(spec: Spec, store: "Store", place: Place) -> Shelf:
    """Look only: headers are read, nothing is hashed, no network is asked."""
    folders = tuple(_checkpoints(spec, store))
    within = {folder.path for folder in folders}
    paths = [
        path for path in dict.fromkeys(_paths(spec)) if os.path.dirname(path) not in within or path.endswith(".gguf")
    ]
    local = [_local(path, store) for path in paths]
    there = stored(store, place)
    return Shelf(
        local=_with_whole_counts(local),
        stored=there,
        offered=offered(spec, store),
        folders=folders,
        source=spec.source or "",
        adapters=_adapters(spec, store),
        merged={parts: whole for parts, whole in store.merged().items() if whole in there},
    )


def stored(store: "Store", place: Place) -> dict[str, str]:
    """The blobs of the store, by hash: those that are still what they were when they were verified."""
    return {name: place.blob(name) for name in store.stored()}


def offered(spec: Spec, store: "Store") -> tuple[WeightFile, ...]:
    """What hubs said before. Of one file that several offer, the operator's source comes first, then the order of asking."""
    wanted = hubs.check_source(spec.source) if spec.source else hubs.HUGGINGFACE
    found: dict[tuple[str, str], tuple[bool, WeightFile]] = {}
    for origin, (size, sha256) in store.offers().items():
        at = hubs.place_of(origin)
        file = WeightFile(at.file.rsplit("/", 1)[-1], size, sha256, origin)
        known = found.get((at.repository, file.name))
        if known is None or (at.source == wanted and not known[0]):
            found[at.repository, file.name] = (at.source == wanted, file)
    return tuple(file for _, file in found.values())


def _checkpoints(spec: Spec, store: "Store") -> Iterator[CheckpointFolder]:
    """Folders of `config.json` and safetensors: the one that the operator named, and those below `--weights`."""
    found = [] if spec.weights is None else list(_folders_below(os.path.abspath(spec.weights)))
    found += [
        os.path.normpath(model)
        for model in (*spec.named, spec.drafter)
        if model.startswith("/") and os.path.isdir(model)
    ]
    if not found:
        return
    from provisioner.weights.folder import checkpoint_in, is_checkpoint_folder

    for path in dict.fromkeys(found):
        if is_checkpoint_folder(path):
            yield checkpoint_in(path, lambda file: store.verified(file) or _claimed(file) or _named(file))


def _adapters(spec: Spec, store: "Store") -> tuple[Adapter, ...]:
    if not spec.adapters:
        return ()
    from provisioner.weights.adapters import adapters_at

    return adapters_at(spec.adapters, store.verified)


def _folders_below(path: str, depth: int = 0) -> Iterator[str]:
    try:
        inner = sorted(entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    yield path
    if depth < DEEPEST:
        for folder in inner:
            yield from _folders_below(folder, depth + 1)


def _named(path: str) -> str | None:
    """Hugging Face's cache keeps large files under the name of their hash, and links to them."""
    name = os.path.basename(os.path.realpath(path))
    return name if hubs.is_sha256(name) else None


def _paths(spec: Spec) -> Iterator[str]:
    if spec.weights is not None:
        if not os.path.exists(spec.weights):
            raise BadInput(
                f"{spec.weights}: there is no such file or folder", fix="--weights DIR   (a folder of weight files)"
            )
        yield from _weights_below(os.path.abspath(spec.weights))
    for model in (*spec.named, spec.drafter):
        if model.startswith("/") and not _is_checkpoint(model):
            _insist_on_file(model)
            # The planner looks for the path as the operator wrote it; parts of a split model lie beside it.
            yield model
            yield from _parts_beside(model)


def _is_checkpoint(path: str) -> bool:
    if not os.path.isdir(path):
        return False
    from provisioner.weights.folder import is_checkpoint_folder

    return is_checkpoint_folder(path)


def _insist_on_file(path: str) -> None:
    fix = (
        "--model FILE   (a GGUF file that you may read), a folder of config.json and safetensors, or the id of a model"
    )
    try:
        kind = os.stat(path).st_mode
    except OSError as error:
        raise BadInput(f"{path}: {os.strerror(error.errno or 0)}", fix=fix) from None
    if not stat.S_ISREG(kind):
        what = (
            "a folder: name the GGUF file in it, or a folder with a config.json and safetensors"
            if stat.S_ISDIR(kind)
            else "no regular file"
        )
        raise BadInput(f"{path}: this is {what}", fix=fix)
    if not os.access(path, os.R_OK):
        raise BadInput(f"{path}: Permission denied", fix=f"sudo chmod a+r {path}, or run as its owner")


def _weights_below(path: str, depth: int = 0) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise BadInput(
            f"{path}: {os.strerror(error.errno or 0)}", fix="--weights DIR   (one that you may read)"
        ) from None
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if depth < DEEPEST:
                yield from _weights_below(entry.path, depth + 1)
        elif is_weights(entry.name) and entry.is_file():
            yield entry.path


def _parts_beside(path: str) -> Iterator[str]:
    name = path.rsplit("/", 1)[-1]
    if "-of-" not in name:
        return
    stem = name.rsplit("-of-", 1)[0].rsplit("-", 1)[0]
    for other in sorted(os.listdir(os.path.dirname(path) or ".")):
        if other != name and hubs.matches(stem, other):
            yield os.path.join(os.path.dirname(path), other)


def _local(path: str, store: "Store") -> LocalFile:
    try:
        status = os.stat(path)
    except OSError as error:
        return LocalFile(path, 0, None, Unknown(os.strerror(error.errno or 0)))
    return LocalFile(path, status.st_size, store.verified(path) or _claimed(path), header_of(path))


def header_of(path: str) -> GgufHeader | Unknown:
    """The header of a file of this machine, or why it cannot be served."""
    from provisioner.weights.gguf import read_header

    reason = refusal(path)
    if reason is not None:
        return Unknown(reason)
    try:
        with open(path, "rb") as file:
            descriptor = file.fileno()
            return read_header(lambda offset, size: os.pread(descriptor, size, offset), os.fstat(descriptor).st_size)
    except OSError as error:
        return Unknown(os.strerror(error.errno or 0))
    except ValueError as error:
        return Unknown(str(error))


def _claimed(path: str) -> str | None:
    """The hash that a file beside it names; it is held against the content when the file is taken in."""
    folder, name = os.path.split(path)
    for sidecar in (f"{path}.sha256", os.path.join(folder, "SHA256SUMS")):
        try:
            with open(sidecar, encoding="utf-8", errors="replace") as file:
                found = claims(file.read(1 << 20), name)
        except OSError:
            continue
        if found is not None:
            return found
    return None


def _with_whole_counts(files: list[LocalFile]) -> tuple[LocalFile, ...]:
    """Each part of a split model counts its own parameters only; the planner wants those of the whole."""
    sums: dict[str, int] = {}
    for file in files:
        if isinstance(file.header, GgufHeader) and file.header.shards > 1:
            sums[_stem(file.path)] = sums.get(_stem(file.path), 0) + file.header.parameters
    return tuple(_counted(file, sums) for file in files)


def _counted(file: LocalFile, sums: dict[str, int]) -> LocalFile:
    if isinstance(file.header, GgufHeader) and file.header.shards > 1:
        return replace(file, header=replace(file.header, parameters=sums[_stem(file.path)]))
    return file


def _stem(path: str) -> str:
    return path.rsplit("-of-", 1)[0].rsplit("-", 1)[0]
