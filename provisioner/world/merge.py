"""Merges the parts of a GGUF into one file: each byte is read once, hashed while it is written, and the whole is there or nothing.

The hash of the whole is wanted, so its bytes have to pass through this program: a copy within the kernel would read them twice.
"""

import hashlib
import os
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import ExitStack

from provisioner.errors import BadInput, RunFailed
from provisioner.weights import ggufparts
from provisioner.weights.ggufparts import Part, Whole
from provisioner.world import files, intake

Progress = Callable[[int, int], None]


def merge(
    parts: Sequence[tuple[str, str]], name: str, folder: str, progress: Progress, held: Container[str] = ()
) -> str:
    """The whole's sha256, and a blob of that name in `folder`, of these parts: the name of each, and where it lies.

    One of those `held` stays as it is: an engine may have it open, and other names may lead to it.
    """
    from provisioner.world.download import insist_on_room

    with ExitStack() as opened:
        sources = [opened.enter_context(open(path, "rb", buffering=0)).fileno() for _, path in parts]
        before = [os.fstat(source) for source in sources]
        whole = _whole(parts, sources)
        beside = f"{folder}/merge-{before[0].st_dev:x}-{before[0].st_ino:x}.tmp"
        files.remove_file(beside, durable=False)
        insist_on_room(folder, beside, whole.size, name)
        try:
            sha256 = _write(whole, sources, beside, progress)
            for (part, _), source, status in zip(parts, sources, before, strict=True):
                if intake.changed(source, status):
                    raise RunFailed(f"{part}: it was changed while it was read", fix="run the same command again")
            if sha256 in held:
                files.remove_file(beside, durable=False)
            else:
                os.replace(beside, f"{folder}/{sha256}")
        except BaseException:
            files.remove_file(beside, durable=False)
            raise
    files.sync_folder(folder)
    return sha256


def _whole(parts: Sequence[tuple[str, str]], sources: Sequence[int]) -> Whole:
    headers = [_header(name, source) for (name, _), source in zip(parts, sources, strict=True)]
    try:
        return ggufparts.join(headers)
    except ValueError as error:
        raise BadInput(
            f"{parts[0][0]}: {error}", fix="put all parts of one model there, under the names that they were made with"
        ) from None


def _header(name: str, source: int) -> Part:
    try:
        return ggufparts.read_part(lambda offset, size: os.pread(source, size, offset), os.fstat(source).st_size)
    except ValueError as error:
        raise BadInput(f"{name}: {error}", fix="bring this part again, from where the others are") from None


def _write(whole: Whole, sources: Sequence[int], beside: str, progress: Progress) -> str:
    """Write it beside its place and make it durable; its hash is made while the disk is at work."""
    from concurrent.futures import ThreadPoolExecutor

    running = hashlib.sha256()
    done = 0
    with open(beside, "xb", buffering=0) as target, ThreadPoolExecutor(1) as hasher:
        for chunk in _content(whole, sources):
            hashed = hasher.submit(running.update, chunk)
            view = memoryview(chunk)
            while view:
                view = view[target.write(view) :]
            hashed.result()
            done += len(chunk)
            progress(done, whole.size)
        os.fsync(target.fileno())
    return running.hexdigest()


def _content(whole: Whole, sources: Sequence[int]) -> Iterator[bytes]:
    """All bytes of the whole, in blocks."""
    yield whole.header
    for piece in whole.pieces:
        at, end = piece.offset, piece.offset + piece.size
        while at < end:
            chunk = os.pread(sources[piece.part], min(intake.CHUNK, end - at), at)
            if not chunk:
                raise RunFailed("a part became shorter while it was read", fix="run the same command again")
            at += len(chunk)
            yield chunk
        if padding := whole.padding(piece.size):
            yield bytes(padding)
