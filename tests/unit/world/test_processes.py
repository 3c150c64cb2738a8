"""What /proc tells about processes and ports: whose they are, and what only looks like ours."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.release import Running
from provisioner.phases.around import ports_taken
from provisioner.world import processes
from tests.unit.views.samples import PLAN, SERVICE

DIGEST = "d1" * 32
NOBODY = 65534


@contextmanager
def bearing(state: Path, unit: str, user: int | None = None) -> Iterator[int]:
    """A process with a keeper's words. This shell takes the same flags as Python, and the module for a script."""
    folder = state / "script"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    (folder / processes.KEEPER).write_text("echo up\nread line\n")
    (folder / processes.KEEPER).chmod(0o644)
    words = ["python", "-I", "-m", processes.KEEPER, f"{state}/{unit}"]
    with subprocess.Popen(
        words, executable="/bin/dash", cwd=folder, user=user, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            assert process.stdout
            assert process.stdout.readline() == b"up\n"
            yield process.pid
        finally:
            process.kill()


def found(state: Path) -> list[int]:
    return [one.pid for one in processes.running(str(state))]


def test_a_keeper_is_known_by_its_words(tmp_path: Path) -> None:
    with bearing(tmp_path, f"releases/{DIGEST}/units/chat.json") as pid:
        (one,) = processes.running(str(tmp_path))
        assert (one.pid, one.service, one.digest, one.target) == (pid, "chat", DIGEST, "process")


@pytest.mark.parametrize(
    "unit",
    [
        "releases/d1/units/chat.json",
        f"releases/{DIGEST.upper()}/units/chat.json",
        f"releases/{DIGEST}/chat.json",
        f"releases/{DIGEST}/units/../units/chat.json",
        f"releases/{DIGEST}/units/.json",
        f"releases/{DIGEST}/units/chat\x1b[2J.json",
        f"releases/{DIGEST}/units/chat",
        f"elsewhere/{DIGEST}/units/chat.json",
    ],
)
def test_what_is_no_unit_of_a_release_is_no_keeper(tmp_path: Path, unit: str) -> None:
    with bearing(tmp_path, unit):
        assert found(tmp_path) == []


@pytest.mark.needs("root")
def test_another_user_cannot_forge_a_keeper(tmp_path: Path) -> None:
    with bearing(tmp_path, f"releases/{DIGEST}/units/chat.json", NOBODY):
        assert found(tmp_path) == []


@pytest.mark.needs("root")
@pytest.mark.parametrize("user", [NOBODY, 0])
def test_the_owner_of_a_state_runs_its_keepers_and_root_may(tmp_path: Path, user: int) -> None:
    os.chown(tmp_path, NOBODY, -1)
    with bearing(tmp_path, f"releases/{DIGEST}/units/chat.json", user) as pid:
        assert found(tmp_path) == [pid]


def test_a_state_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert found(tmp_path / "gone") == []


PID, ERROR = '{"pid": 7}\n', '{"error": "Exec format error", "errno": 8}\n'


@pytest.mark.parametrize("answer", [ERROR, PID + ERROR, ERROR + PID])
def test_an_error_counts_wherever_it_stands(answer: str) -> None:
    with pytest.raises(OSError, match="Exec format error") as caught:
        processes.told_pid(answer, "engine")
    assert (caught.value.errno, caught.value.filename) == (8, "engine")


def test_without_an_error_the_number_counts_and_silence_is_an_error() -> None:
    assert processes.told_pid(PID, "engine") == 7
    with pytest.raises(OSError, match="it ended at once"):
        processes.told_pid("", "engine")


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.start_detached([f"{tmp_path}/gone"], f"{tmp_path}/log")


def test_the_same_port_of_two_addresses_is_two_places() -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
        other.bind(("127.0.0.9", port))
        one.listen()
        other.listen()
        inodes = [frozenset({os.fstat(each.fileno()).st_ino}) for each in (one, other)]
        listening = processes.listeners()
        assert [listening["127.0.0.1", port], listening["127.0.0.9", port]] == inodes
        owner = processes.port_owner(min(inodes[1]))
        assert owner
        assert owner[0] == os.getpid()


def test_two_programs_on_one_place_are_both_told() -> None:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        one.bind(("127.0.0.1", 0))
        other.bind(one.getsockname())
        one.listen()
        other.listen()
        held = processes.listeners()["127.0.0.1", one.getsockname()[1]]
        assert held == {os.fstat(each.fileno()).st_ino for each in (one, other)}


@pytest.mark.parametrize("address", ["127.0.0.9", "0.0.0.0", "::", "::1", "fe80::1:2", "::ffff:10.1.2.3"])
def test_addresses_are_read_as_the_kernel_writes_them(address: str) -> None:
    packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    words = memoryview(packed).cast("I").tolist()
    written = "".join(f"{word:08X}" for word in words)
    assert processes.address_of(written) == address.removeprefix("::ffff:")


def plan_for(host: str, port: int) -> Plan:
    return replace(PLAN, services=(replace(SERVICE, host=host, port=port),))


@pytest.mark.parametrize(
    ("listener", "host", "taken"),
    [
        ("127.0.0.9", "127.0.0.1", False),
        ("127.0.0.9", "localhost", False),
        ("127.0.0.9", "127.0.0.9", True),
        ("127.0.0.9", "0.0.0.0", True),
        ("127.0.0.1", "localhost", True),
        ("0.0.0.0", "127.0.0.1", True),
    ],
)
def test_a_port_is_taken_by_who_listens_at_the_same_address_or_at_all(listener: str, host: str, taken: bool) -> None:
    with socket.socket() as one:
        one.bind((listener, 0))
        one.listen()
        port = one.getsockname()[1]
        found = ports_taken(plan_for(host, port), ())
    assert list(found) == ([port] if taken else [])
    assert all(f"(process {os.getpid()})" in who for who in found.values())


def test_a_port_of_our_own_is_free_to_us() -> None:
    ours = Running("llm", DIGEST, "process", os.getpid(), 1, "S")
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        assert ports_taken(plan_for("127.0.0.1", one.getsockname()[1]), (ours,)) == {}


@pytest.mark.needs("root")
def test_whoever_came_from_outside_into_a_container_does_not_own_what_has_ended() -> None:
    """There the session of such a process is 0, as is the number of a container that does not run."""
    ended = Running(service="gateway", digest="", target="docker", pid=0, started=0, state="exited")
    asked = (
        f"import os; from provisioner.world.processes import *; print(os.getsid(0), belongs(os.getpid(), ({ended!r},)))"
    )
    inside = subprocess.run(
        ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", asked],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert inside.stdout == "0 False\n"


def test_what_a_process_is_about_is_read_behind_its_name(tmp_path: Path) -> None:
    """A name may hold anything, even what looks like its end and a state."""
    program = tmp_path / ") T (x"
    os.symlink("/bin/sleep", program)
    run = subprocess.Popen([program, "60"])
    try:
        while processes.state_of(run.pid) != "S":
            assert run.poll() is None
        assert not processes.is_frozen(run.pid)
        run.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, run.pid, os.WSTOPPED)
        assert processes.state_of(run.pid) == "T"
        assert processes.is_frozen(run.pid)
    finally:
        run.kill()
        run.wait()
    assert processes.state_of(run.pid) is None


def test_a_system_without_proc_has_no_processes_of_ours(tmp_path: Path) -> None:
    """A Mac: nothing of ours is started there, and `plan` has to say what fits. On Linux, not to see them is an error."""
    assert processes.entries(str(tmp_path / "proc"), "Darwin") == []
    with pytest.raises(FileNotFoundError):
        processes.entries(str(tmp_path / "proc"), "Linux")
