"""The keeper, for real: it starts programs, minds them, and leaves nothing behind."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from provisioner.world import keeper, processes

PATIENCE = 10.0
D1, D2 = "d1" * 32, "d2" * 32
T = TypeVar("T")


class Start(Protocol):
    def __call__(self, program: str, **unit: object) -> int: ...


Started = tuple[str, Start]


def until(condition: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE} s: {what}")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """Start a keeper for a program, the way `up` does; end it whatever happens."""
    state = str(tmp_path)
    keepers = []

    def start(program: str, **unit: object) -> int:
        folder = f"{state}/releases/{D1}/units"
        os.makedirs(folder, exist_ok=True)
        path = f"{folder}/chat.json"
        document = {
            "name": "chat",
            "argv": [sys.executable, "-c", program],
            "env": {},
            "log": f"{state}/chat.log",
            **unit,
        }
        with open(path, "w") as stream:
            json.dump(document, stream)
        pid = processes.start_detached([sys.executable, "-I", "-m", processes.KEEPER, path], f"{state}/chat.log")
        keepers.append(pid)
        return pid

    yield state, start
    for one in processes.running(state):
        processes.stop(one.pid, one.started)
    assert not [pid for keeper_pid in keepers for pid in processes.session_members(keeper_pid)]


def log_of(state: str) -> str:
    with open(f"{state}/chat.log") as stream:
        return stream.read()


def test_it_is_found_through_its_release_and_stopped_with_all_it_started(started: Started) -> None:
    state, start = started
    pid = start("import time; print('up', flush=True); time.sleep(600)")
    (one,) = until(lambda: processes.running(state), "running")
    assert (one.service, one.digest, one.target, one.pid) == ("chat", D1, "process", pid)
    until(lambda: "up" in log_of(state), "the program's own words")
    assert processes.engine_of(pid) in processes.session_members(pid)
    processes.stop(one.pid, one.started)
    assert processes.running(state) == ()
    assert processes.session_members(pid) == ()


def test_another_process_with_the_same_number_is_spared(started: Started) -> None:
    state, start = started
    pid = start("import time; time.sleep(600)")
    (one,) = until(lambda: processes.running(state), "running")
    processes.stop(pid, one.started - 1)
    assert [(still.pid, still.started) for still in processes.running(state)] == [(one.pid, one.started)]


def test_a_program_that_ignores_the_request_is_killed(started: Started) -> None:
    state, start = started
    start(
        "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    until(lambda: "deaf" in log_of(state), "started")
    (one,) = processes.running(state)
    processes.stop(one.pid, one.started, patience=0.5)
    assert processes.session_members(one.pid) == ()


def test_the_engine_dies_with_its_keeper(started: Started) -> None:
    state, start = started
    pid = start("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: "up" in log_of(state), "started")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not processes.session_members(pid), "nothing is left")


def test_a_frozen_engine_can_be_stopped(started: Started) -> None:
    state, start = started
    pid = start("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: "up" in log_of(state), "started")
    engine = processes.engine_of(pid)
    assert engine
    os.kill(engine, signal.SIGSTOP)
    (one,) = processes.running(state)
    processes.stop(one.pid, one.started)
    assert processes.session_members(pid) == ()


def test_a_program_that_dies_young_is_not_started_again(started: Started) -> None:
    state, start = started
    pid = start("import sys; print('no model'); sys.exit(3)")
    until(lambda: not processes.session_members(pid), "the keeper ended")
    assert "no model" in log_of(state)
    assert "the engine ended with 3" in log_of(state)


def test_what_a_program_leaves_behind_ends_with_it_though_it_holds_the_pipe(started: Started) -> None:
    state, start = started
    pid = start("", argv=["/bin/sh", "-c", "echo $$; sleep 30 & exit 3"])
    until(lambda: "the engine ended with 3" in log_of(state), "the end is noticed")
    until(lambda: not processes.session_members(pid), "nothing is left")


def test_what_a_program_started_ends_when_the_keeper_is_told_to(started: Started) -> None:
    state, start = started
    pid = start("", argv=["/bin/sh", "-c", "sleep 600 & echo up; wait"])
    until(lambda: "up" in log_of(state), "started")
    assert len(processes.session_members(pid)) == 3
    os.kill(pid, signal.SIGTERM)
    until(lambda: not processes.session_members(pid), "nothing is left")


def test_a_program_that_closed_its_mouth_is_stopped_all_the_same(started: Started) -> None:
    state, start = started
    pid = start("import os, time; print('up', flush=True); os.close(1); os.close(2); time.sleep(600)")
    until(lambda: "up" in log_of(state), "started")
    time.sleep(0.2)
    assert processes.engine_of(pid)
    os.kill(pid, signal.SIGTERM)
    until(lambda: not processes.session_members(pid), "nothing is left")
    assert log_of(state).endswith("keeper: stopped\n")


def test_what_left_the_group_of_its_program_is_ended_by_a_stop(started: Started) -> None:
    state, start = started
    pid = start(
        "import subprocess, time; subprocess.Popen(['sleep', '600'], process_group=0);"
        " print('up', flush=True); time.sleep(600)"
    )
    until(lambda: "up" in log_of(state), "started")
    until(lambda: len(processes.session_members(pid)) == 3, "its child")
    (one,) = processes.running(state)
    processes.stop(one.pid, one.started)
    assert processes.session_members(pid) == ()


def test_a_program_that_dies_young_on_its_first_start_is_given_up() -> None:
    assert keeper.Restarts().after(keeper.YOUNG_SECONDS - 1) is None


def test_one_young_death_after_a_restart_is_forgiven_and_five_in_a_row_are_not() -> None:
    restarts = keeper.Restarts()
    lives = (20.0, 1.0, 1.0, 1.0, 1.0, 20.0, 1.0, 1.0, 1.0, 1.0)
    assert all(restarts.after(lived) is not None for lived in lives)
    assert restarts.after(1.0) is None


def test_the_pause_grows_to_a_bound_and_begins_anew_after_a_long_life() -> None:
    restarts = keeper.Restarts()
    assert [restarts.after(20.0) for _ in range(7)] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [restarts.after(lived) for lived in (61.0, 20.0)] == [1.0, 2.0]


def test_two_keepers_never_mind_the_same_service(started: Started) -> None:
    state, start = started
    first = start("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: "up" in log_of(state), "started")
    second = start("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: not processes.session_members(second), "the second gave way")
    assert [one.pid for one in processes.running(state)] == [first]


def test_limits_are_in_force(started: Started) -> None:
    state, start = started
    cpu = min(os.sched_getaffinity(0))
    start(
        "import os,resource,time; print('cpus', sorted(os.sched_getaffinity(0)), 'key', os.environ['GREETING'],"
        " resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= 777, flush=True); time.sleep(600)",
        cpus=str(cpu), open_files=777, env={"GREETING": "hello"},
    )  # fmt: skip
    until(lambda: f"cpus [{cpu}] key hello True" in log_of(state), "limits")


def under_systemd(tmp_path: Path, program: str, **unit: object) -> tuple[str, str, str]:
    """Run a keeper as that service manager does: what the journal gets, the status line, and the log."""
    path, address = tmp_path / "chat.json", str(tmp_path / "notify")
    document = {
        "name": "chat",
        "argv": [sys.executable, "-c", program],
        "env": {},
        "log": f"{tmp_path}/chat.log",
        **unit,
    }
    path.write_text(json.dumps(document))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(address)
        done = subprocess.run(
            [sys.executable, "-I", "-m", processes.KEEPER, "--under=systemd", str(path)],
            capture_output=True, text=True, check=False, timeout=30, env={**os.environ, "NOTIFY_SOCKET": address},
        )  # fmt: skip
        assert done.returncode != 0
        status = [told.recv(4096).decode() for _ in range(2)][-1]
    log = Path(str(document["log"]))
    return done.stderr, status, log.read_text() if log.exists() else ""


def test_under_systemd_the_reason_of_an_end_is_in_journal_status_and_log(tmp_path: Path) -> None:
    journal, status, log = under_systemd(tmp_path, "import sys; print('no model'); sys.exit(3)")
    assert "<4>| no model\n" in journal
    assert "<3>the engine ended with 3" in journal
    assert status.startswith("STATUS=the engine ended with 3")
    assert status.endswith(": no model")
    assert "no model\n" in log
    assert "the engine ended with 3" in log


def test_a_signal_is_named(tmp_path: Path) -> None:
    journal, _, log = under_systemd(tmp_path, "import os; os.kill(os.getpid(), 9)")
    assert "the engine was killed by SIGKILL" in journal
    assert "the engine was killed by SIGKILL" in log


def test_without_a_log_the_journal_has_it_all_the_same(tmp_path: Path) -> None:
    journal, _, log = under_systemd(tmp_path, "print('no model'); raise SystemExit(3)", log=f"{tmp_path}/gone/chat.log")
    assert "this log is not written" in journal
    assert "| no model" in journal
    assert log == ""


def test_the_log_is_rotated_and_bounded(tmp_path: Path) -> None:
    log = keeper.Log(str(tmp_path / "chat.log"))
    line = b"x" * 1023 + b"\n"
    for _ in range(keeper.LOG_BYTES * 6 // len(line)):
        log.write(line)
    sizes = {entry.name: entry.stat().st_size for entry in tmp_path.iterdir()}
    assert sorted(sizes) == ["chat.log", "chat.log.1", "chat.log.2", "chat.log.3"]
    assert max(sizes.values()) <= keeper.LOG_BYTES


def test_a_log_that_cannot_be_opened_again_writes_into_no_other_file(tmp_path: Path) -> None:
    log = keeper.Log(str(tmp_path / "chat.log"))
    log.write(b"x" * keeper.LOG_BYTES)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        log.write(b"lost\n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with open(tmp_path / "other", "wb") as other:
        log.write(b"kept\n")
        assert os.fstat(other.fileno()).st_size == 0
    assert (tmp_path / "chat.log").read_bytes() == b"kept\n"


@pytest.mark.parametrize(("text", "expected"), [("0", {0}), ("0-2,5", {0, 1, 2, 5}), ("7,1", {1, 7})])
def test_cpu_lists(text: str, expected: set[int]) -> None:
    assert keeper.cpu_set(text) == expected


@pytest.mark.needs("root")
def test_the_keeper_of_a_container_is_not_ours_though_it_bears_the_same_words(started: Started) -> None:
    state, start = started
    pid = start("import time; print('up', flush=True); time.sleep(600)")
    until(lambda: "up" in log_of(state), "started")
    unit = f"{state}/releases/{D2}/units/chat.json"
    os.makedirs(os.path.dirname(unit))
    with open(f"{state}/releases/{D1}/units/chat.json") as stream, open(unit, "w") as other:
        other.write(stream.read())
    command = f"exec {sys.executable} -I -m {processes.KEEPER} {unit}"
    contained = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "sh", "-c", command])
    try:
        until(lambda: any(unit in _words(name) for name in os.listdir("/proc")), "the other one runs")
        assert [one.pid for one in processes.running(state)] == [pid]
    finally:
        contained.kill()
        contained.wait()


def _words(name: str) -> str:
    try:
        with open(f"/proc/{name}/cmdline") as stream:
            words = stream.read()
    except OSError:
        return ""
    return "" if "unshare" in words else words
