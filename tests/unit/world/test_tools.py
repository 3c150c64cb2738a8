"""Other people's programs: run side by side, cut off in time, and never the reason for an exception."""

import os
import sys
import time
from pathlib import Path

import pytest

from provisioner.model.facts import AskTools, Unknown
from provisioner.world import tools
from provisioner.world.machine import ThisMachine
from provisioner.world.tools import answer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, made by the tests themselves; the path of the process leads nowhere else."""
    monkeypatch.setenv("PATH", f".:{tmp_path / 'nowhere'}")
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    monkeypatch.setenv("LC_MESSAGES", "de_DE.UTF-8")
    return tmp_path


def program(folder: Path, name: str, text: str, *, mode: int = 0o755) -> str:
    path = folder / name
    path.write_text(f"#!{sys.executable} -I\nimport os, subprocess, sys, time\n{text}\n")
    path.chmod(mode)
    return name


def ask(folder: Path, *commands: str, seconds: float = 10.0) -> dict[str, str | Unknown]:
    return dict(answer(AskTools(commands, (str(folder),)), seconds))


def test_output_is_what_was_printed_in_english_from_a_closed_input(folder: Path) -> None:
    program(
        folder,
        "smi",
        "print(sys.argv[1:], repr(sys.stdin.read()), os.environ['LC_ALL'], 'LANG' in os.environ, 'LC_MESSAGES' in os.environ)",
    )
    assert ask(folder, "smi info -t topo")["smi info -t topo"] == "['info', '-t', 'topo'] '' C False False\n"


def test_a_shell_has_no_part_in_it(folder: Path) -> None:
    program(folder, "smi", "print(sys.argv[1:])")
    assert ask(folder, "smi $(id);>x")["smi $(id);>x"] == "['$(id);>x']\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sys.exit(3)", "`smi x` ended with status 3"),
        (
            "print('a'); print('dcmi model initialized failed'); sys.exit(1)",
            "`smi x` ended with status 1: dcmi model initialized failed",
        ),
        ("print('a'); sys.stderr.write('no driver\\n'); sys.exit(1)", "`smi x` ended with status 1: no driver"),
        ("os.kill(os.getpid(), 9)", "`smi x` ended with status -9"),
        ("sys.stdout.write('x' * (5 << 20))", "printed more than 4 MiB"),
    ],
)
def test_a_program_that_fails_is_quoted(folder: Path, text: str, reason: str) -> None:
    program(folder, "smi", text)
    assert ask(folder, "smi x") == {"smi x": Unknown(reason)}


def test_a_program_that_is_missing_or_none(folder: Path) -> None:
    program(folder, "text", "", mode=0o644)
    (folder / "folder").mkdir()
    (folder / "broken").write_text("#!/no/such/interpreter\n")
    (folder / "broken").chmod(0o755)
    told = ask(folder, "smi", "text", "folder", "broken")
    assert told["smi"] == Unknown("smi is not installed")
    assert told["text"] == Unknown("text is not installed")
    assert told["folder"] == Unknown("folder is not installed")
    assert isinstance(told["broken"], Unknown)


def test_one_that_hangs_is_ended_with_all_it_started_and_the_others_are_not_held_up(folder: Path) -> None:
    """The child keeps the pipe open and writes its number, by which it is looked for afterwards."""
    child = folder / "child"
    program(
        folder,
        "hangs",
        f"p = subprocess.Popen(['sleep', '60'])\nopen({str(child)!r}, 'w').write(str(p.pid))\ntime.sleep(60)",
    )
    program(folder, "answers", "time.sleep(0.2); print('yes')")
    os.environ["PATH"] += ":/bin:/usr/bin"
    began = time.monotonic()
    told = ask(folder, "hangs", "answers", "answers again", seconds=2.0)
    assert time.monotonic() - began < 8
    assert told == {"hangs": Unknown("did not answer within 2 s"), "answers": "yes\n", "answers again": "yes\n"}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and _runs(int(child.read_text())):
        time.sleep(0.05)
    assert not _runs(int(child.read_text()))


def _runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_commands_run_side_by_side(folder: Path) -> None:
    program(folder, "slow", "time.sleep(0.8); print(1)")
    began = time.monotonic()
    ask(folder, *(f"slow {at}" for at in range(6)))
    assert time.monotonic() - began < 3.5


def test_bytes_that_are_no_text_become_text(folder: Path) -> None:
    program(folder, "smi", "sys.stdout.buffer.write(b'\\xff\\xfe ok')")
    assert ask(folder, "smi")["smi"] == "\ufffd\ufffd ok"


def test_this_machine_answers_for_programs_that_it_has_not() -> None:
    told = ThisMachine().ask(AskTools(("no-such-smi info", "no-such-smi -m")))
    assert told == dict.fromkeys(("no-such-smi info", "no-such-smi -m"), Unknown("no-such-smi is not installed"))


def test_nothing_is_left_open(folder: Path) -> None:
    program(folder, "smi", "print(1)")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        ask(folder, "smi", "smi x", "missing")
    assert len(os.listdir("/proc/self/fd")) == before
    assert tools.SECONDS == 10.0
