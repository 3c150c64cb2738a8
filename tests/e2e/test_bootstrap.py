"""Setting up is safe to run twice, and to be killed at any moment."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.containers import PROJECT

pytestmark = [pytest.mark.needs("index"), pytest.mark.slow]


def command(venv: Path) -> list[str]:
    return [sys.executable, f"{PROJECT}/tools/bootstrap.py", str(venv)]


@pytest.mark.parametrize("after", [0.3, 2.5])
def test_killed_then_run_again(tmp_path: Path, after: float) -> None:
    venv = tmp_path / "venv"
    first = subprocess.Popen(command(venv), stderr=subprocess.DEVNULL, start_new_session=True)
    time.sleep(after)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()

    subprocess.run(command(venv), check=True, capture_output=True)
    asked = subprocess.run([venv / "bin/provision", "--version"], capture_output=True, text=True, check=True)
    assert asked.stdout.startswith("provision ")
    assert not (venv / ".changing").exists()

    start = time.monotonic()
    again = subprocess.run(command(venv), check=True, capture_output=True)
    assert time.monotonic() - start < 1
    assert again.stderr == b""


def test_two_at_once_make_one_environment(tmp_path: Path) -> None:
    both = [subprocess.Popen(command(tmp_path / "venv"), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate()[1] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert sum("making" in text for text in said) == 1
