"""A checkpoint in a folder of this machine: its small files whole, of its weights the headers alone."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence

from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.weights import CheckpointFolder
from provisioner.weights.checkpoint import Source, describe, is_checkpoint
from provisioner.weights.safetensors import LARGEST_INDEX, Tensor, read_header

Hash = Callable[[str], str | None]
"""The sha256 of a file of this machine, where something says it."""


def names_in(folder: str) -> list[str]:
    """The regular files of a folder, whichever way they got there: caches of the hubs keep links to them."""
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_file())


def is_checkpoint_folder(folder: str) -> bool:
    try:
        return is_checkpoint(names_in(folder))
    except OSError:
        return False


def checkpoint_in(folder: str, hash_of: Hash) -> CheckpointFolder:
    """What the folder holds; what cannot be read of it is in the record."""
    files = tuple(_files(folder, hash_of))
    title = os.path.basename(os.path.normpath(folder))
    return describe(
        Source(
            path=folder,
            source="",
            title=title,
            files=files,
            small=lambda name: read_small(os.path.join(folder, name)),
            headers=_headers,
        )
    )


def _files(folder: str, hash_of: Hash) -> Iterator[WeightFile]:
    for name in names_in(folder):
        path = os.path.join(folder, name)
        yield WeightFile(name, os.stat(path).st_size, hash_of(path), path)


def _headers(files: Sequence[WeightFile]) -> Mapping[str, tuple[Tensor, ...] | Unknown]:
    return {file.name: header_of(file.origin) for file in files}


def header_of(path: str) -> tuple[Tensor, ...] | Unknown:
    try:
        descriptor = _open(path)
        try:
            return read_header(lambda at, size: os.pread(descriptor, size, at), os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)
    except OSError as error:
        return Unknown(os.strerror(error.errno or 0))
    except ValueError as error:
        return Unknown(str(error))


def read_small(path: str) -> bytes:
    try:
        descriptor = _open(path)
        try:
            text = os.pread(descriptor, LARGEST_INDEX + 1, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ValueError(os.strerror(error.errno or 0)) from None
    if len(text) > LARGEST_INDEX:
        raise ValueError(f"it is larger than {LARGEST_INDEX >> 20} MiB")
    return text


def _open(path: str) -> int:
    """For reading, and nothing but a regular file: a pipe put in its place since would wait forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("it is no regular file")
    return descriptor
