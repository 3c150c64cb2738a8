"""Run the program under `strace`: list its state-changing system calls, then kill or fail it at each of them."""

import collections
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

CALLS = (
    "mkdir", "write", "pwrite64", "fsync", "fdatasync", "rename", "renameat2", "link", "linkat", "unlink", "unlinkat",
    "rmdir", "ftruncate", "fchmod", "clone", "clone3", "vfork", "pidfd_send_signal",
)  # fmt: skip
"""What changes the machine. `openat` is left out on purpose: a file that was just made and is still empty is what the
kill before its first `write` leaves; and how many files a start reads differs from run to run."""

ATTEMPTS = 3
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)

LINE = re.compile(r"^(?:\d+ +)?(\w+)\((.*)$")


@dataclass(frozen=True, slots=True)
class Point:
    """The `count`-th call of this name in the main process; `text` is what it was when it was recorded."""

    call: str
    count: int
    text: str

    def __str__(self) -> str:
        return f"{self.call}#{self.count} {self.text}"


def program(*words: str) -> list[str]:
    """The installed program of this environment."""
    return [os.path.join(os.path.dirname(sys.executable), "provision"), *words]


def points(command: list[str], trace: str, below: tuple[str, ...]) -> tuple[list[Point], int]:
    """Run it once and list the calls that touch something below these folders, or processes; and its exit code."""
    done = subprocess.run(
        ["strace", "-y", "-s", "0", "-o", trace, "-e", f"trace={','.join(CALLS)}", *command],
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with open(trace, encoding="utf-8", errors="replace") as stream:
        found = list(_points(stream, below))
    return found, done.returncode


def _points(lines: object, below: tuple[str, ...]) -> list[Point]:
    counts: collections.Counter[str] = collections.Counter()
    found = []
    for line in lines:  # type: ignore[attr-defined]
        match = LINE.match(line)
        if not match:
            continue
        call, text = match.groups()
        counts[call] += 1
        if call in ("clone", "clone3", "vfork", "pidfd_send_signal") or any(folder in text for folder in below):
            found.append(Point(call, counts[call], text.rstrip()[:160]))
    return found


@dataclass(frozen=True, slots=True)
class Struck:
    code: int
    words: str
    """What was said on standard error."""
    hit: bool
    """Whether the call came to pass, and the blow with it."""


def struck(command: list[str], point: Point, blow: str, trace: str, begin: Callable[[], None]) -> Struck:
    """Run it with `signal=SIGKILL`, `error=ENOSPC` or the like at one call; `begin` sets the ground, `trace` is a file to write.

    How many calls a run makes differs now and then by one, with the time that others take: a blow that missed is tried again.
    """
    for _ in range(ATTEMPTS):
        begin()
        done = _struck(command, point, blow, trace)
        if done.hit:
            break
    return done


def _struck(command: list[str], point: Point, blow: str, trace: str) -> Struck:
    done = subprocess.run(
        [
            "strace", "-o", trace, "-e", f"trace={point.call}",
            "-e", f"inject={point.call}:{blow}:when={point.count}", *command,
        ],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    with open(trace, encoding="utf-8", errors="replace") as stream:
        told = stream.read()
    # strace marks an error that it made; killed, a call has no result to be marked, and strace ends as its program did.
    return Struck(done.returncode, done.stderr, "(INJECTED)" in told or done.returncode in KILLED)
