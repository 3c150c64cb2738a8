"""How LM Studio is started. Its daemon cannot be had: a recorder stands for `lms` here, and writes down what it is told.

It proves our side alone: that the documented words are said in the documented order, that a step which fails is told, and that the
daemon is taken down. The words are those of lmstudio-ai/docs@c6854fb (cli/daemon, cli/local-models/load, cli/serve/server-start,
app/advanced/import-model, developer/core/headless_llmster) and of lmstudio-ai/lms@07b7252 (src/subcommands).
"""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from provisioner.engines import lmstudio
from provisioner.model.causes import cause_of
from provisioner.model.plan import Loaded, Service
from provisioner.model.record import replace
from tests.unit.engines.test_vllm import SERVICE

RECORDER = """#!/bin/sh
echo "$*" >> "$HOME/said"
case "$*" in
  $REFUSED*) echo "refused: $*"; exit 1 ;;
  "daemon up") sleep 60 > /dev/null 2>&1 & echo $! > "$HOME/daemon" ;;
  "daemon status --json") echo "{\\"status\\":\\"running\\",\\"pid\\":$(cat "$HOME/daemon"),\\"isDaemon\\":true}" ;;
  "daemon down") kill "$(cat "$HOME/daemon")" ;;
esac
"""

ONE = replace(SERVICE, model_path="/m/abc/qwen 3.gguf", slots=2, options={"gpu": "max"})
TWO = replace(ONE, further=(Loaded("bge", "/m/def/bge.gguf", 512, 1, {"gpu": "0.5"}),))


def started(home: Path, service: Service, refused: str = "nothing") -> "subprocess.Popen[bytes]":
    """The rendered command line, for a user whose home is this folder."""
    program = home / ".lmstudio" / "bin" / "lms"
    program.parent.mkdir(parents=True)
    program.write_text(RECORDER)
    program.chmod(0o755)
    argv = [*lmstudio.ENGINE.program, *lmstudio.ENGINE.command(service)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "REFUSED": refused}
    with (home / "told").open("w") as out:
        return subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT)


def said(home: Path) -> list[str]:
    file = home / "said"
    return file.read_text().splitlines() if file.exists() else []


def wait_for(home: Path, words: str) -> None:
    until = time.monotonic() + 30
    while not any(line.startswith(words) for line in said(home)):
        assert time.monotonic() < until, said(home)
        time.sleep(0.02)


LOAD = [
    "unload qwen3-32b",
    "load --exact provision/qwen3-32b/qwen 3.gguf --yes --identifier qwen3-32b --context-length 65536 --parallel 2 --gpu max",
]
MORE = [
    "unload bge",
    "load --exact provision/bge/bge.gguf --yes --identifier bge --context-length 512 --parallel 1 --gpu 0.5",
]
START = ["daemon up", "daemon status --json"]
SERVE = ["server start --port 8000 --bind 127.0.0.1"]


@pytest.mark.parametrize(("service", "loads"), [(ONE, LOAD), (TWO, LOAD + MORE)], ids=["one model", "two models"])
def test_it_is_told_the_documented_words_in_their_order(tmp_path: Path, service: Service, loads: list[str]) -> None:
    """The daemon, each model, the server; told to stop, it takes the daemon down and ends well."""
    running = started(tmp_path, service)
    wait_for(tmp_path, "server start")
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 0
    assert said(tmp_path) == [*START, *loads, *SERVE, "server stop", "daemon down"]


def test_weights_are_links_in_the_folder_that_it_lists(tmp_path: Path) -> None:
    running = started(tmp_path, TWO)
    wait_for(tmp_path, "server start")
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    folder = tmp_path / ".lmstudio" / "models"
    found = {str(file.relative_to(folder)): os.readlink(file) for file in folder.rglob("*.gguf")}
    assert found == {
        "provision/qwen3-32b/qwen 3.gguf": "/m/abc/qwen 3.gguf",
        "provision/bge/bge.gguf": "/m/def/bge.gguf",
    }


@pytest.mark.parametrize(
    ("refused", "cause"), [("daemon up", "daemon-refused"), ("load", None), ("server start", None)]
)
def test_a_step_that_fails_ends_the_start_and_is_told(tmp_path: Path, refused: str, cause: str | None) -> None:
    running = started(tmp_path, ONE, refused)
    assert running.wait(30) == 1
    told = (tmp_path / "told").read_text()
    assert f"lmstudio: error: `lms {refused}" in told
    assert "` failed" in told
    assert said(tmp_path)[-1] == "daemon down"
    found = cause_of(lmstudio.ENGINE.causes(), tuple(told.splitlines()))
    assert (found.id if found else None) == cause


def test_it_ends_when_its_daemon_does(tmp_path: Path) -> None:
    """So that its keeper starts it again."""
    running = started(tmp_path, ONE)
    wait_for(tmp_path, "server start")
    os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)
    assert running.wait(30) == 1
    told = (tmp_path / "told").read_text()
    assert "has ended" in told


def test_a_large_model_that_still_loads_holds_nobody_up(tmp_path: Path) -> None:
    """A shell hears no signal while a program runs before it."""
    program = tmp_path / ".lmstudio" / "bin" / "lms"
    running = started(tmp_path, ONE)
    wait_for(tmp_path, "server start")
    running.send_signal(signal.SIGTERM)
    running.wait(30)
    program.write_text(RECORDER.replace('"daemon down")', '"load "*) sleep 60 ;;\n  "daemon down")'))
    (tmp_path / "said").unlink()
    argv = [*lmstudio.ENGINE.program, *lmstudio.ENGINE.command(ONE)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "REFUSED": "nothing"}
    loading = subprocess.Popen(argv, env=env, start_new_session=True)
    wait_for(tmp_path, "load")
    loading.send_signal(signal.SIGTERM)
    assert loading.wait(10) == 0
    os.killpg(loading.pid, signal.SIGKILL)


def test_without_lms_it_says_so(tmp_path: Path) -> None:
    argv = [*lmstudio.ENGINE.program, *lmstudio.ENGINE.command(ONE)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(argv, env=env, text=True, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    found = cause_of(lmstudio.ENGINE.causes(), tuple(done.stderr.splitlines()))
    assert found is not None
    assert found.id == "not-installed"
