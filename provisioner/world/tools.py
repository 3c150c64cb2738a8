"""Makers' own programs, run side by side, each with a time-out: what they print, or why there is nothing to read."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from provisioner.model.facts import Answers, AskTools, Unknown
from provisioner.world.patience import Overdue, call_all

if TYPE_CHECKING:
    from subprocess import Popen
    from typing import IO

SECONDS = 10.0
"""A driver that hangs keeps its tool waiting for ever; `amd-smi`, the slowest, starts in about one second."""
GRACE = 2.0
"""For a program to end; one that is stuck in the kernel cannot even be killed, and is left behind."""
LARGEST_OUTPUT = 4 << 20
"""More than eight cards have to say; beyond it the output is not to be trusted."""
LONGEST_REASON = 200
PIECE = 1 << 16


def answer(question: AskTools, seconds: float = SECONDS) -> Answers:
    """Each command's output under the command; `Unknown` for one that is missing, fails, hangs or does not end."""
    runs = [partial(_run, command, question.folders, seconds) for command in question.commands]
    outputs = call_all(runs, seconds + 3 * GRACE)
    return {
        command: _late(seconds) if isinstance(output, Overdue) else output
        for command, output in zip(question.commands, outputs, strict=True)
    }


def _run(command: str, folders: tuple[str, ...], seconds: float) -> str | Unknown:
    name, *arguments = command.split(" ")
    program = _program(name, folders)
    return Unknown(f"{name} is not installed") if program is None else _output(command, [program, *arguments], seconds)


def _program(name: str, folders: tuple[str, ...]) -> str | None:
    path = [folder for folder in os.environ.get("PATH", os.defpath).split(":") if folder.startswith("/")]
    places = (f"{folder}/{name}" for folder in (*path, *folders))
    return next((place for place in places if os.path.isfile(place) and os.access(place, os.X_OK)), None)


def _output(command: str, words: list[str], seconds: float) -> str | Unknown:
    """Standard output of a program that is given nothing, speaks English, and has a process group to be killed by."""
    import subprocess

    environment = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG"))}
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment | {"LC_ALL": "C"}, cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return Unknown(f"{words[0]}: {error.strerror}")
    told = _heard(process, seconds)
    _end(process, in_order=not isinstance(told, Unknown))
    return told if isinstance(told, Unknown) else _judged(command, process.returncode, *told)


def _heard(process: Popen[bytes], seconds: float) -> tuple[bytes, bytes] | Unknown:
    """All that is said on both pipes until they close. One that a child of the program keeps open counts as open."""
    import selectors
    import time

    streams: list[IO[bytes]] = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    said: dict[int, bytearray] = {stream.fileno(): bytearray() for stream in streams}
    end = time.monotonic() + seconds
    with ExitStack() as opened:
        waiting = opened.enter_context(selectors.DefaultSelector())
        for stream in streams:
            opened.enter_context(stream)
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, end - time.monotonic()))
            if not ready:
                return _late(seconds)
            for key, _ in ready:
                piece = os.read(key.fd, PIECE)
                said[key.fd] += piece
                if not piece:
                    waiting.unregister(key.fileobj)
            if sum(map(len, said.values())) > LARGEST_OUTPUT:
                return Unknown(f"printed more than {LARGEST_OUTPUT >> 20} MiB")
    output, errors = map(bytes, said.values())
    return output, errors


def _end(process: Popen[bytes], *, in_order: bool) -> None:
    """Wait for a program that has said all; one that has not is killed with all that it started."""
    import signal
    import subprocess

    if in_order:
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)


def _judged(command: str, status: int | None, output: bytes, errors: bytes) -> str | Unknown:
    """What was printed, or the last words of a program that failed."""
    if status == 0:
        return output.decode("utf-8", "replace")
    lines = (errors.strip() or output.strip()).decode("utf-8", "replace").split("\n")
    words = f": {lines[-1].strip()[:LONGEST_REASON]}" if lines[-1] else ""
    return Unknown(f"`{command}` ended with status {status}{words}")


def _late(seconds: float) -> Unknown:
    return Unknown(f"did not answer within {seconds:g} s")
