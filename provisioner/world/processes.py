"""Which of our services run here, and who listens on a port: read from /proc, never from a file of ours."""

import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

from provisioner.model.release import Running

KEEPER = "provisioner.world.keeper"
PART = "--part="
"""Tells whoever reads its command line from what a keeper was started: the next release may have the same."""
UNDER = "--under="
"""Tells a keeper, and whoever reads its command line, which target's service manager started it."""


STATE, PARENT, SESSION, STARTED = 0, 1, 3, 19
"""Where things stand in /proc/PID/stat, counted from behind the program's name."""
GONE = (errno.ESRCH, errno.EINVAL, errno.ENOENT)
"""What is said of a number that is nobody's, or that of another program's thread."""
MAPPED = bytes(10) + b"\xff\xff"
"""Begins an IPv6 address that stands for one of IPv4."""
SERVICE_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")


def running(state: str) -> tuple[Running, ...]:
    """Every keeper that was started from a release below this state folder."""
    return tuple(sorted(_keepers(os.path.realpath(state)), key=lambda one: (one.service, one.started)))


def _keepers(folder: str) -> Iterator[Running]:
    owner = _owner(folder)
    for name in _pids():
        argv = _argv(name)
        unit = _unit(argv, f"{folder}/releases/")
        if unit is None:
            continue
        fields = _stat(name)
        if not _alive(fields) or not _is_of(name, owner) or not _lives_here(name) or KEEPER in _argv(fields[PARENT]):
            # A keeper's child bears its keeper's words until it has become the engine.
            continue
        digest, service = unit
        yield Running(
            service=service,
            digest=digest,
            target=next((word.removeprefix(UNDER) for word in argv if word.startswith(UNDER)), "process"),
            pid=int(name),
            started=int(fields[STARTED]),
            state=fields[STATE],
            part=next((word.removeprefix(PART) for word in argv if word.startswith(PART)), ""),
        )


def _unit(argv: list[str], releases: str) -> tuple[str, str] | None:
    """Digest and service of a keeper's command line; None for any other, of which there may be ones that look alike."""
    if argv[1:4] != ["-I", "-m", KEEPER] or not argv[-1].startswith(releases):
        return None
    parts = argv[-1].removeprefix(releases).split("/")
    if len(parts) != 3 or parts[1] != "units" or not parts[2].endswith(".json"):
        return None
    digest, service = parts[0], parts[2].removesuffix(".json")
    whole = len(digest) == 64 and set(digest) <= set("0123456789abcdef")
    return (digest, service) if whole and service and set(service) <= SERVICE_LETTERS else None


def _owner(folder: str) -> int:
    """Whose state this is; one that is gone, or is not for us to see, has no keepers but root's and our own."""
    try:
        return os.stat(folder).st_uid
    except OSError:
        return os.geteuid()


def _is_of(pid: str, owner: int) -> bool:
    """Whether a process is the owner's of the state, or root's: anybody else may choose the very same words.

    All its user numbers count, so that a program which is set-uid root does not pass for one that root started.
    """
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as stream:
            users = next((line.split()[1:] for line in stream if line.startswith("Uid:")), [])
    except OSError:
        return False
    return set(users) in ({str(owner)}, {"0"})


def _pids() -> Iterator[str]:
    return (name for name in entries("/proc", os.uname().sysname) if name.isdigit())


def entries(folder: str, system: str) -> list[str]:
    """What lies in /proc. Where a system has no such folder, nothing of ours was ever started; Linux has to show it."""
    if system != "Linux" and not os.path.isdir(folder):
        return []
    return os.listdir(folder)


def _stat(pid: int | str) -> list[str]:
    """What the kernel says of a process, from its state on; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            return stream.read().rpartition(") ")[2].split()
    except OSError:
        return []


def state_of(pid: int) -> str | None:
    """The kernel's letter for what a process is about; None when it is gone."""
    return next(iter(_stat(pid)), None)


def _alive(fields: list[str]) -> bool:
    """Zombies do not count."""
    return bool(fields) and fields[STATE] not in "ZX"


def _lives_here(pid: str) -> bool:
    """Whether a process sees our processes and our files: one in a container may bear the very same words, and is not ours."""
    return all(_link(f"/proc/{pid}/{what}") in (None, _link(f"/proc/self/{what}")) for what in ("ns/pid", "root"))


def _link(path: str) -> str | None:
    """Where a link leads; None for a process of another user, who may look at it and no more."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _argv(pid: str) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as stream:
            return stream.read().rstrip("\0").split("\0")
    except OSError:
        return [""]


def session_members(session: int) -> tuple[int, ...]:
    """The processes of a session that still live; zombies do not count."""
    return tuple(_members(session))


def _members(session: int) -> dict[int, int]:
    """The living processes of a session, each with the tick it was started at."""
    found = ((int(name), _stat(name)) for name in _pids())
    return {pid: int(fields[STARTED]) for pid, fields in found if _alive(fields) and int(fields[SESSION]) == session}


def engine_of(keeper: int) -> int | None:
    """The program that a keeper minds."""
    try:
        with open(f"/proc/{keeper}/task/{keeper}/children", encoding="ascii") as stream:
            children = stream.read().split()
    except OSError:
        return None
    return int(children[0]) if children else None


def stop(pid: int, started: int, patience: float = 12.0) -> None:
    """End a keeper and all that it started: asked first, then made. Another process with the same number is spared."""
    handle = _handle(pid)
    try:
        fields = _stat(pid)
        if fields and int(fields[STARTED]) != started:
            return
        known = _members(pid)
        if handle is not None:
            _end(handle, patience)
    finally:
        if handle is not None:
            os.close(handle)
    _end_session(pid, known, patience)


def _handle(pid: int) -> int | None:
    """A hold on a process, which stays with it when its number goes to another; None when it is gone."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return None


def _end_session(session: int, known: dict[int, int], patience: float) -> None:
    """Kill what is left of a session.

    Its number is given to no other while one of those we know is still in it; what they have started since is killed as well.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        left = _members(session)
        if not left.items() & known.items():
            return
        known = left
        for member, since in left.items():
            _kill(member, since)
        time.sleep(0.01)


def _kill(pid: int, started: int) -> None:
    handle = _handle(pid)
    if handle is None:
        return
    try:
        fields = _stat(pid)
        if fields and int(fields[STARTED]) == started:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _end(handle: int, patience: float) -> None:
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
        try:
            signal.pidfd_send_signal(handle, signal.SIGCONT)
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if poll.poll(wait * 1000):
            return


def start_detached(argv: list[str], log: str) -> int:
    """Start a program that survives us and our terminal; its parent is init, so nobody has to wait for it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _become(argv, log, writer)
    os.close(writer)
    with open(reader, encoding="utf-8") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    return told_pid(answer, argv[0])


def told_pid(answer: str, program: str) -> int:
    """The number of the program that was started. Of two lines either may come first; an error counts wherever it stands."""
    told: dict[str, str | int] = {}
    for line in answer.splitlines():
        told.update(json.loads(line))
    if "error" in told or "pid" not in told:
        raise OSError(told.get("errno", 0), told.get("error", "it ended at once"), program)
    return int(told["pid"])


def _become(argv: list[str], log: str, writer: int) -> None:
    """The child's side: leave the session, hand on to a grandchild, tell its number or why there is none."""
    try:
        os.setsid()
        grandchild = os.fork()
        if grandchild:
            os.write(writer, f"{json.dumps({'pid': grandchild})}\n".encode())
            os._exit(0)
        os.setsid()
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execv(argv[0], argv)  # noqa: S606 - there is no shell on purpose
    except OSError as error:
        told = {"error": os.strerror(error.errno or 0), "errno": error.errno}
        os.write(writer, f"{json.dumps(told)}\n".encode())
    finally:
        os._exit(127)


def listeners() -> dict[tuple[str, int], frozenset[int]]:
    """Each address and TCP port that somebody listens on here, with the sockets' inodes: there may be several."""
    found: dict[tuple[str, int], frozenset[int]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as stream:
                rows = stream.readlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, rows):
            if fields[3] == "0A":
                address, _, port = fields[1].partition(":")
                place = (address_of(address), int(port, 16))
                found[place] = found.get(place, frozenset()) | {int(fields[9])}
    return found


def address_of(text: str) -> str:
    """An address of /proc/net/tcp, where each four bytes are a number of the machine's own byte order."""
    import socket

    words = (int(text[start : start + 8], 16) for start in range(0, len(text), 8))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    if packed.startswith(MAPPED) and len(packed) == 16:
        packed = packed.removeprefix(MAPPED)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def port_owner(inode: int) -> tuple[int, str] | None:
    """The process that holds a listening socket, where we may see it."""
    wanted = f"socket:[{inode}]"
    for name in _pids():
        try:
            descriptors = os.listdir(f"/proc/{name}/fd")
        except OSError:
            continue
        if any(_link(f"/proc/{name}/fd/{descriptor}") == wanted for descriptor in descriptors):
            return int(name), _argv(name)[0].rsplit("/", 1)[-1]
    return None


def belongs(pid: int, ours: tuple[Running, ...]) -> bool:
    """Whether a process was started by one of these keepers.

    One that has ended has no number, and 0 is also the session of whoever was let into our container from outside.
    """
    try:
        session = os.getsid(pid)
    except ProcessLookupError:
        return False
    return any(one.pid in (pid, session) for one in ours if one.pid)


def is_frozen(keeper: int) -> bool:
    """Whether a keeper or its program was stopped by a signal, and will not answer however long one waits."""
    return any(state_of(pid) in ("T", "t") for pid in (keeper, engine_of(keeper)) if pid is not None)
