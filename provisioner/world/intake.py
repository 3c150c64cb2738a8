"""Takes a weight file of this machine into the store: linked where that is safe, read once, and never half there."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Generator

from provisioner.errors import BadInput, RunFailed
from provisioner.world import files

CHUNK = 8 << 20
FICLONE = 0x40049409
WORKERS = 4
"""Files that are hashed at once: one processor reads a file slower than a fast disk can give it."""
TICK_SECONDS = 0.1

Progress = Callable[[int, int], None]


def take(path: str, folder: str, expected: str | None, known: str | None, progress: Progress) -> str:
    """The file's sha256, and a blob of that name in `folder`. `known` is its hash where it was read before."""
    try:
        source = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise BadInput(
            f"{path}: {os.strerror(error.errno or 0)}", fix="provision plan --weights DIR   (files that you may read)"
        ) from None
    try:
        return _take(source, path, folder, expected, known, progress)
    finally:
        os.close(source)


def _take(source: int, path: str, folder: str, expected: str | None, known: str | None, progress: Progress) -> str:
    before = os.fstat(source)
    beside = f"{folder}/take-{before.st_dev:x}-{before.st_ino:x}.tmp"
    files.remove_file(beside, durable=False)
    try:
        if _link(source, before, beside) or _clone(source, before, beside):
            sha256 = known or digest(source, before.st_size, progress)
        else:
            sha256 = _copy(source, before.st_size, beside, progress)
        _check(path, source, before, sha256, expected)
        _sync(beside)
        os.replace(beside, f"{folder}/{sha256}")
        # Of two names for one file neither goes when one is moved onto the other.
        files.remove_file(beside, durable=False)
    except BaseException:
        files.remove_file(beside, durable=False)
        raise
    files.sync_folder(folder)
    return sha256


def _check(path: str, source: int, before: os.stat_result, sha256: str, expected: str | None) -> None:
    if changed(source, before):
        raise RunFailed(f"{path}: it was changed while it was read", fix="wait until it is complete, then run again")
    if expected is not None and sha256 != expected:
        raise BadInput(
            f"{path}: its sha256 is {sha256}, not {expected} as it should be: the file is damaged or another one",
            fix=f"download it again, or mend the hash that stands beside it: sha256sum {path}",
        )


def changed(source: int, before: os.stat_result) -> bool:
    """Whether an open file is another than it was when it was looked at."""
    after = os.fstat(source)
    return (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns)


def would_link(path: str, folder: str) -> bool:
    """Whether a file is taken in by its name alone; what has to be copied is hashed on its way."""
    try:
        status = os.stat(path)
        return status.st_uid == os.geteuid() and status.st_dev == os.stat(folder).st_dev
    except OSError:
        return False


def _link(source: int, status: os.stat_result, beside: str) -> bool:
    """A second name for the same bytes. A file of somebody else's could be changed by them after it was verified."""
    if status.st_uid != os.geteuid():
        return False
    try:
        # By its descriptor, so that it is the very file that is hashed; Python follows that link only with a `dir_fd`.
        os.link(f"/proc/self/fd/{source}", beside, src_dir_fd=source, follow_symlinks=True)
    except OSError:
        return False
    return True


def _clone(source: int, status: os.stat_result, beside: str) -> bool:
    """The same blocks on disk under a file of our own, where the file system can."""
    target = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        fcntl.ioctl(target, FICLONE, source)
        return os.fstat(target).st_size == status.st_size
    except OSError:
        os.unlink(beside)
        return False
    finally:
        os.close(target)


def _copy(source: int, size: int, beside: str, progress: Progress) -> str:
    """Copy and hash in one pass, so that nothing is read twice."""
    running = hashlib.sha256()
    done = 0
    with open(beside, "xb", buffering=0) as target:
        while chunk := os.pread(source, CHUNK, done):
            running.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[target.write(view) :]
            done += len(chunk)
            progress(done, size)
    return running.hexdigest()


def digest(source: int, size: int, progress: Progress) -> str:
    """The sha256 of an open file."""
    running = hashlib.sha256()
    buffer = bytearray(min(CHUNK, max(size, 1)))
    view = memoryview(buffer)
    done = 0
    while count := os.preadv(source, [view], done):
        running.update(view[:count])
        done += count
        progress(done, size)
    return running.hexdigest()


def digests(
    paths: tuple[str, ...], progress: Progress, workers: int = WORKERS
) -> Generator[tuple[os.stat_result, str]]:
    """What each file was when it was read, and its sha256; several at once, in the order in which they are done.

    One that cannot be read, or is changed meanwhile, is left out: whoever takes it in will say why.
    """
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    reading = [_Reading(path) for path in paths]
    total = sum(each.size for each in reading)
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = {pool.submit(each.read): each for each in reading}
        while waiting:
            ended, _ = wait(waiting, TICK_SECONDS, FIRST_COMPLETED)
            progress(sum(each.done for each in reading), total)
            for future in ended:
                del waiting[future]
                found = future.result()
                if found is not None:
                    yield found
    finally:
        for each in reading:
            each.wanted = False
        pool.shutdown(cancel_futures=True)


class _Reading:
    """One of several files that are hashed, and how far that is."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.done = 0
        self.wanted = True
        try:
            self.size = os.stat(path).st_size
        except OSError:
            self.size = 0

    def read(self) -> tuple[os.stat_result, str] | None:
        try:
            source = os.open(self.path, os.O_RDONLY)
        except OSError:
            return None
        try:
            before = os.fstat(source)
            sha256 = digest(source, before.st_size, self._move)
            return None if changed(source, before) else (before, sha256)
        except OSError:
            return None
        finally:
            os.close(source)

    def _move(self, done: int, _total: int) -> None:
        if not self.wanted:
            raise InterruptedError
        self.done = done


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
