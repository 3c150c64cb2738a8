"""Downloads one file in parallel ranges that survive a kill: only what was synced counts as had, and the hash decides."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Self

from provisioner.errors import RunFailed
from provisioner.model.plan import WeightFile
from provisioner.world import files, intake
from provisioner.world.http import Refusal, Reply, failure, get, is_transient

Progress = Callable[[int, int], None]
SYNC = getattr(os, "fdatasync", os.fsync)
"""Only the content has to be safe: the file has its size from the start. Systems without the one have the other."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a download is cut up, and how patient it is."""

    block: int = 8 << 20
    """What is synced and noted at once, and at most sent again by each worker after a kill."""
    blocks_each: int = 16
    workers: int = 4
    tries: int = 6
    """Failures in a row, without one byte of progress, after which it is given up."""
    pause: float = 0.5
    longest_pause: float = 15.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What the other side says of the file. `ranges` is False where it always sends all of it."""

    size: int
    tag: str
    ranges: bool


def download(url: str, file: WeightFile, folder: str, progress: Progress, pace: Pace | None = None) -> str:
    """The file's sha256, and a blob of that name in `folder`; what an earlier run had is not fetched again."""
    pace = pace or Pace()
    offer = _offer(url, file, pace)
    part = f"{folder}/{file.sha256 or 'unnamed-' + _safe(file.name)}.part"
    insist_on_room(folder, part, offer.size, file.name)
    with Journal(part, offer, pace.block) as journal:
        Transfer(url, file.name, offer, journal, pace, progress).run()
        sha256 = intake.digest(journal.part, offer.size, lambda _done, _total: None)
        if file.sha256 is not None and sha256 != file.sha256:
            journal.forget()
            raise RunFailed(
                f"{file.name}: what was downloaded has the sha256 {sha256}, not {file.sha256}; it was thrown away",
                fix="run the same command again, or choose another source: --source modelscope",
            )
        os.fsync(journal.part)
        os.replace(part, f"{folder}/{sha256}")
        files.remove_file(journal.path)
    files.sync_folder(folder)
    return sha256


def _safe(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name)


def insist_on_room(folder: str, part: str, size: int, name: str) -> None:
    here = os.statvfs(folder)
    had = os.stat(part).st_blocks * 512 if os.path.exists(part) else 0
    free = here.f_bavail * here.f_frsize
    if size - had > free:
        raise RunFailed(
            f"{folder}: {name} needs {(size - had) / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free",
            fix="free some space there (`df -h`), or put the state elsewhere with --state-dir",
        )


def _offer(url: str, file: WeightFile, pace: Pace) -> Offer:
    """Ask for the first byte: the answer tells the size, and whether ranges can be had."""
    for attempt in range(pace.tries):
        try:
            offer = _offer_once(url)
            break
        except (OSError, HTTPException, Refusal) as error:
            if attempt == pace.tries - 1 or not is_transient(error):
                raise failure(error, url, file.name) from error
            time.sleep(min(pace.longest_pause, pace.pause * 2**attempt))
    if file.sha256 is not None and offer.size != file.size_bytes:
        raise RunFailed(
            f"{file.name}: the source offers {offer.size} bytes, and {file.size_bytes} were listed: it was replaced",
            fix="run the same command again; if it stays, choose another source: --source modelscope",
        )
    return offer


def _offer_once(url: str) -> Offer:
    reply = get(url, {"Range": "bytes=0-0"})
    reply.close()
    tag = reply.headers.get("etag", "")
    total = reply.headers.get("content-range", "").rpartition("/")[2]
    if reply.status == 206 and total.isdecimal():
        return Offer(int(total), tag, True)
    length = reply.headers.get("content-length", "")
    if reply.status == 200 and length.isdecimal():
        return Offer(int(length), tag, False)
    raise Refusal(reply.status, url) if reply.status >= 400 else HTTPException("it does not tell the file's size")


class Journal:
    """The half-had file, and beside it the numbers of those blocks that are safe on disk."""

    def __init__(self, part: str, offer: Offer, block: int) -> None:
        self.path = f"{part}.journal"
        self.size = offer.size
        self.block = block
        self.blocks = (offer.size + block - 1) // block
        self.part_path = part
        head = f"{offer.size} {block} {offer.tag}\n"
        self.done = self._read(head) if offer.ranges else set()
        if not self.done:
            self._start(head)
        self.part = os.open(part, os.O_RDWR)
        self.notes = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        self.lock = threading.Lock()
        self.users: list[threading.Thread] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # A worker that still waits for its connection may write once more: its numbers must not be given away.
        if not any(user.is_alive() for user in self.users):
            os.close(self.part)
            os.close(self.notes)

    def _read(self, head: str) -> set[int]:
        """The blocks of an earlier run; none when its file is gone or it was of another version of this one."""
        try:
            with open(self.path, encoding="ascii", errors="replace") as file:
                first, *lines = file.read().splitlines(keepends=True) or [""]
            same = first == head and os.stat(self.part_path).st_size == self.size
        except OSError:
            return set()
        # A line without its end was being written when the machine or the process died.
        numbers = {int(line) for line in lines if line.endswith("\n") and line.strip().isdecimal()}
        return {number for number in numbers if number < self.blocks} if same else set()

    def _start(self, head: str) -> None:
        files.remove_file(self.path)
        with open(self.part_path, "wb") as file:
            file.truncate(self.size)
            os.fsync(file.fileno())
        with open(self.path, "w", encoding="ascii", errors="replace") as file:
            file.write(head)
            os.fsync(file.fileno())
        files.sync_folder(os.path.dirname(self.path))

    def note(self, number: int) -> None:
        """This block is whole: make it safe, then write that it is."""
        SYNC(self.part)
        os.write(self.notes, f"{number}\n".encode())
        with self.lock:
            self.done.add(number)

    def had_bytes(self) -> int:
        return sum(min(self.block, self.size - number * self.block) for number in self.done)

    def missing(self, most: int) -> list[tuple[int, int]]:
        """Runs of blocks that are not had, each at most so many long: first block and the one after the last."""
        runs: list[tuple[int, int]] = []
        for number in range(self.blocks):
            if number in self.done:
                continue
            if runs and runs[-1][1] == number and number - runs[-1][0] < most:
                runs[-1] = (runs[-1][0], number + 1)
            else:
                runs.append((number, number + 1))
        return runs

    def forget(self) -> None:
        files.remove_file(self.path)
        files.remove_file(self.part_path)


class Lane:
    """One range on its way: how far it has come, through however many connections."""

    def __init__(self, begin: int, end: int) -> None:
        self.at = begin
        self.end = end


class Transfer:
    """Workers that fetch what is missing; the caller's thread shows progress and carries the first error out."""

    def __init__(self, url: str, name: str, offer: Offer, journal: Journal, pace: Pace, progress: Progress) -> None:
        self.url = url
        self.name = name
        self.offer = offer
        self.journal = journal
        self.pace = pace
        self.progress = progress
        self.runs = deque(journal.missing(pace.blocks_each if offer.ranges else journal.blocks))
        self.received = journal.had_bytes()
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.replies: set[Reply] = set()
        self.error: BaseException | None = None

    def run(self) -> None:
        """Fetch everything; raise the first error, with what was had kept for the next run."""
        count = min(self.pace.workers if self.offer.ranges else 1, len(self.runs))
        workers = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        self.journal.users = workers
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers):
                self.progress(self.received, self.offer.size)
                workers[0].join(0.1)
                self.stop.wait(0.02)
        finally:
            self._end(workers)
        if self.error is not None:
            raise self.error
        self.progress(self.offer.size, self.offer.size)

    def _end(self, workers: list[threading.Thread]) -> None:
        self.stop.set()
        with self.lock:
            for reply in self.replies:
                reply.hang_up()
        deadline = time.monotonic() + 2.0
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))

    def _work(self) -> None:
        try:
            while not self.stop.is_set() and self.runs:
                try:
                    first, after = self.runs.popleft()
                except IndexError:
                    return
                block = self.journal.block
                self._bring_home(Lane(first * block, min(after * block, self.offer.size)))
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread, which raises it
            with self.lock:
                self.error = self.error or error
            self.stop.set()

    def _bring_home(self, lane: Lane) -> None:
        """Fetch a range through drops and busy servers: each time from the byte where it stopped."""
        failures = 0
        while lane.at < lane.end and not self.stop.is_set():
            before = lane.at
            error: Exception = HTTPException("the connection ends before the file does")
            try:
                self._fetch(lane)
            except (OSError, HTTPException, Refusal) as problem:
                if isinstance(problem, OSError) and problem.filename is not None:
                    raise
                error = problem
            failures = 0 if lane.at > before else failures + 1
            if lane.at < lane.end and not self.stop.is_set():
                self._pause(error, failures)

    def _pause(self, error: Exception, failures: int) -> None:
        if failures >= self.pace.tries or not is_transient(error):
            raise failure(error, self.url, self.name)
        self.stop.wait(min(self.pace.longest_pause, self.pace.pause * 2**failures))

    def _fetch(self, lane: Lane) -> None:
        wanted = {"Range": f"bytes={lane.at}-{lane.end - 1}"} if self.offer.ranges else {}
        reply = get(self.url, wanted)
        with self.lock:
            self.replies.add(reply)
        try:
            self._check(reply, lane)
            # A server without ranges sends all of it again; what is had already is passed over.
            passed = lane.at if not self.offer.ranges else 0
            for chunk in reply.chunks(1 << 20):
                if self.stop.is_set():
                    return
                if passed >= len(chunk):
                    passed -= len(chunk)
                    continue
                self._put(lane, chunk[passed:])
                passed = 0
                if lane.at >= lane.end:
                    return
        finally:
            with self.lock:
                self.replies.discard(reply)
            reply.close()

    def _check(self, reply: Reply, lane: Lane) -> None:
        """The answer is the range that was asked for, of the very file that was offered."""
        if reply.status in (200, 206):
            span = reply.headers.get("content-range", "")
            whole = f"bytes {lane.at}-{lane.end - 1}/{self.offer.size}"
            tag = reply.headers.get("etag", self.offer.tag)
            right = reply.status == 206 and span == whole if self.offer.ranges else reply.status == 200
            if right and tag == self.offer.tag:
                return
        elif reply.status != 416:
            raise Refusal(reply.status, self.url)
        self.journal.forget()
        raise RunFailed(
            f"{self.name}: the file was replaced at its source while it was downloaded; what was had is thrown away",
            fix="run the same command again",
        )

    def _put(self, lane: Lane, chunk: bytes) -> None:
        view = memoryview(chunk)[: lane.end - lane.at]
        try:
            while view:
                written = os.pwrite(self.journal.part, view, lane.at)
                self._advance(lane, written)
                view = view[written:]
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.journal.part_path) from error

    def _advance(self, lane: Lane, written: int) -> None:
        block = self.journal.block
        first = lane.at // block
        lane.at += written
        with self.lock:
            self.received += written
        last = lane.at // block if lane.at < self.offer.size else self.journal.blocks
        for number in range(first, last):
            self.journal.note(number)
