"""Minds one service: starts it with its limits, writes and rotates its log, starts it again when it dies.

Started as `python -m provisioner.world.keeper [--under=TARGET] UNIT`; what it needs stands in the unit file of the release.
With `--under=systemd` that service manager, and not the keeper, decides about starting again; its journal gets what
matters as well: starts, ends, and the last words of a program that ended by itself.
"""

import contextlib
import ctypes
import fcntl
import io
import json
import os
import resource
import select
import signal
import sys
import time

LOG_BYTES = 16 * 1024 * 1024
LOG_FILES = 4
YOUNG_SECONDS = 10.0
YOUNG_DEATHS = 5
STEADY_SECONDS = 60.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
TERM_SECONDS = 8.0
PIECE_BYTES = 65536
LAST_PIECES = 16
"""As much as is still read once the program has ended: whoever outlives it must not hold us with its words."""
LAST_BYTES = 4096
LAST_LINES = 15
PR_SET_PDEATHSIG = 1
ERROR, WARNING, INFO = 3, 4, 6
"""Levels of the journal."""


class Log:
    """A log file that is rotated by size, so that a busy engine never fills the disk."""

    def __init__(self, path: str, *, journal: bool = False) -> None:
        self.path = path
        self.journal = journal
        self.descriptor = -1
        self.size = 0
        self.last = b""
        try:
            self._open()
        except OSError as error:
            self._journal(f"{path}: {error.strerror}: this log is not written", WARNING)

    def _open(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.size = os.fstat(self.descriptor).st_size

    def write(self, data: bytes) -> None:
        """A full disk costs log lines, never the service."""
        self.last = (self.last + data)[-LAST_BYTES:]
        try:
            if self.descriptor < 0:
                self._open()
            if self.size + len(data) > LOG_BYTES:
                self._rotate()
            self.size += os.write(self.descriptor, data)
        except OSError:
            return

    def _rotate(self) -> None:
        for number in range(LOG_FILES - 1, 0, -1):
            older = f"{self.path}.{number}"
            newer = self.path if number == 1 else f"{self.path}.{number - 1}"
            if os.path.exists(newer):
                os.replace(newer, older)
        # Its number may soon be that of another file, which must not be written into should opening fail.
        closed, self.descriptor, self.size = self.descriptor, -1, 0
        os.close(closed)
        self._open()

    def say(self, message: str, level: int = INFO) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.write(f"{stamp} keeper: {message}\n".encode())
        self._journal(message, level)

    def last_words(self) -> str:
        """Tell the journal what the program said last, so that it need not be looked for; the very last line comes back."""
        lines = self.last.decode("utf-8", "replace").splitlines()[-LAST_LINES:]
        for line in lines:
            self._journal(f"| {line}", WARNING)
        return lines[-1] if lines else ""

    def _journal(self, message: str, level: int) -> None:
        """A line that starts with `<level>` is stored under it (sd-daemon(3))."""
        if self.journal:
            with contextlib.suppress(OSError):
                os.write(2, f"<{level}>{message}\n".encode())


def launch(unit: dict[str, object], output: int) -> int:
    """Start the program in a group of its own; it dies with its keeper, so that nothing is ever left without one."""
    keeper = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(126)
        os.setpgid(0, 0)
        _confine(unit)
        os.dup2(output, 1)
        os.dup2(output, 2)
        argv = [str(part) for part in _items(unit["argv"])]
        environment = {**os.environ, **{str(k): str(v) for k, v in _pairs(unit["env"])}}
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execve(argv[0], argv, environment)  # noqa: S606 - there is no shell on purpose
    except (OSError, ValueError) as error:
        os.write(output, f"keeper: cannot start {unit['argv']}: {error}\n".encode())
    finally:
        os._exit(127)


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _pairs(value: object) -> list[tuple[object, object]]:
    return list(value.items()) if isinstance(value, dict) else []


def _confine(unit: dict[str, object]) -> None:
    cpus = unit.get("cpus")
    if isinstance(cpus, str):
        os.sched_setaffinity(0, cpu_set(cpus))
    wanted = unit.get("open_files")
    if isinstance(wanted, int):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, ceiling), hard))


def cpu_set(text: str) -> set[int]:
    """The numbers in a CPU list as the kernel writes it: `0-3,8`."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return numbers


class Restarts:
    """When a program that ended is started again."""

    def __init__(self) -> None:
        self.pause = FIRST_PAUSE
        self.young = 0
        self.first = True

    def after(self, lived: float) -> float | None:
        """The pause after a life of so many seconds; None to give up.

        What dies young on its first start has never worked. Later, one such death may be bad luck, and five are not.
        """
        self.young = self.young + 1 if lived < YOUNG_SECONDS else 0
        first, self.first = self.first, False
        if (first and self.young) or self.young >= YOUNG_DEATHS:
            return None
        if lived > STEADY_SECONDS:
            self.pause = FIRST_PAUSE
        pause, self.pause = self.pause, min(self.pause * 2, LONGEST_PAUSE)
        return pause


def mind(unit: dict[str, object], log: Log, *, once: bool) -> int:
    """Run the program until we are told to stop, or until starting it again would not mend it."""
    wake = _hear_signals()
    restarts = Restarts()
    while True:
        started = time.monotonic()
        code, told = _run(unit, wake, log)
        lived = time.monotonic() - started
        if told:
            log.say("stopped")
            return 0
        end = f"the engine {how(code)} after {lived:.1f} s"
        show(f"{end}: {log.last_words()}")
        log.say(end, ERROR)
        pause = None if once else restarts.after(lived)
        if pause is None:
            return code if code > 0 else 1
        if select.select([wake], [], [], pause)[0]:
            return 0


def _hear_signals() -> int:
    """A descriptor that can be read from once we are told to stop."""
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    stop_signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_SETMASK, signals | stop_signals | {signal.SIGHUP})
    wake, alarm = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    for number in stop_signals:
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stop_signals | {signal.SIGHUP})
    return wake


def _run(unit: dict[str, object], wake: int, log: Log) -> tuple[int, bool]:
    """One life of the program: how it ended, and whether that is because we were told to stop."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    child = launch(unit, writer)
    os.close(writer)
    handle = os.pidfd_open(child)
    try:
        told = _listen(reader, (wake, handle), log) == wake
        if told:
            _end(child, handle, reader, log)
        return _collect(child, reader, log), told
    finally:
        os.close(handle)
        os.close(reader)


def how(code: int) -> str:
    """The end of a program in words; a signal that nobody here sent is often the kernel's, for want of memory."""
    if code >= 0:
        return f"ended with {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def show(status: str) -> None:
    """A line for `systemctl status`, which shows nothing of the journal while a service waits to be started again."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    import socket

    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(f"STATUS={status}".encode(), f"\0{address[1:]}" if address.startswith("@") else address)


def _listen(reader: int, ends: tuple[int, ...], log: Log, seconds: float | None = None) -> int | None:
    """Copy what the program says into the log until one of `ends` has something; None when none had in this time.

    A program may close its mouth and go on, and may end while a child of its own still holds the pipe.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    sources = [*ends, reader]
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select(sources, [], [], left)
        for end in ends:
            if end in ready:
                return end
        if reader in ready and not _copy(reader, log):
            sources.remove(reader)
        if deadline is not None and time.monotonic() >= deadline:
            return None


def _copy(reader: int, log: Log) -> bool:
    """One piece of what was said; False when there is none."""
    try:
        data = os.read(reader, PIECE_BYTES)
    except BlockingIOError:
        return False
    if data:
        log.write(data)
    return bool(data)


def _end(child: int, handle: int, reader: int, log: Log) -> None:
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGCONT)
    if _listen(reader, (handle,), log, TERM_SECONDS) is None:
        log.say(f"the engine did not end within {TERM_SECONDS:.0f} s and was killed")
        os.kill(child, signal.SIGKILL)


def _collect(child: int, reader: int, log: Log) -> int:
    """The exit code of a program that has ended or will at once; the rest of its group ends with it."""
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    # Not yet waited for, it keeps its number, so that the group is no other.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(LAST_PIECES):
        if not _copy(reader, log):
            break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(argv: list[str]) -> int:
    once = argv[0].startswith("--under=")
    path = argv[-1]
    try:
        with open(path, encoding="utf-8") as stream:
            return _keep(stream, path, once=once)
    except (OSError, ValueError, KeyError) as error:
        show(f"cannot keep {path}: {error}")
        os.write(2, f"{f'<{ERROR}>' if once else ''}cannot keep {path}: {error}\n".encode())
        return 1


def _keep(stream: io.TextIOWrapper, path: str, *, once: bool) -> int:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0  # Another keeper minds this very service already.
    unit = json.load(stream)
    log = Log(unit["log"], journal=once)
    log.say(f"minding {unit['name']} of {path}")
    show(f"minding {unit['name']}")
    return mind(unit, log, once=once)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
