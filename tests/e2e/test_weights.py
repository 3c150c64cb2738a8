"""Weights on every way in, through the program itself: a mirror, a folder, a path; and no way at all."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.world import tinymodel
from tests.hub import Faults, Hub, serving

pytestmark = [pytest.mark.needs("embedded"), pytest.mark.e2e]

REPOSITORY = "unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF"
FILE = "DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"


class Program:
    """The program on a state folder of the test's, on a port of its own."""

    def __init__(self, state: Path) -> None:
        self.state = str(state)
        with socket.socket() as asked:
            asked.bind(("127.0.0.1", 0))
            self.port = str(asked.getsockname()[1])

    def __call__(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "provisioner", *words, "--state-dir", self.state]
        return subprocess.run(
            argv, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
        )

    def up(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self("up", *words, "--set", f"port={self.port}", **environment)


@pytest.fixture
def provision(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path / "state")
    yield program
    program("down", "--purge")


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "tiny.gguf"
    path.parent.mkdir()
    tinymodel.write(str(path))
    return path


def test_from_a_mirror_once_and_then_without_it(provision: Program) -> None:
    """The mirror serves the tiny model under a known name; its context of 4096 is all that it can give."""
    wanted = ("--profile", "lite", "--context", "4096")
    with serving(Hub({f"{REPOSITORY}/{FILE}": tinymodel.model_bytes()})) as hub:
        first = provision.up(*wanted, "--source", hub.url)
        assert first.returncode == 0, first.stderr
        fetched = hub.sent
    assert fetched == len(tinymodel.model_bytes()) + 1
    again = provision.up(*wanted)
    assert again.returncode == 0, again.stderr
    assert provision("check").returncode == 0


def test_a_model_by_its_path_is_linked_not_copied(provision: Program, tiny: Path) -> None:
    done = provision.up("--model", str(tiny))
    assert done.returncode == 0, done.stderr
    assert os.path.samefile(tiny, f"{provision.state}/blobs/sha256/{tinymodel.sha256()}")


def test_weights_that_do_not_match_their_hash(provision: Program, tiny: Path) -> None:
    (tiny.parent / "SHA256SUMS").write_text(f"{'0' * 64}  {tiny.name}\n")
    done = provision.up("--model", str(tiny))
    assert done.returncode == 2, done.stderr
    assert f"its sha256 is {tinymodel.sha256()}, not {'0' * 64}" in done.stderr
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not os.path.exists(f"{provision.state}/releases") or os.listdir(f"{provision.state}/releases") == []


def test_a_truncated_model(provision: Program, tiny: Path) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-1000])
    done = provision.up("--model", str(tiny))
    assert done.returncode == 3, done.stderr
    assert "cut short" in done.stderr
    assert not os.path.exists(provision.state)


def test_no_network_is_one_error_with_three_ways(provision: Program) -> None:
    done = provision.up("--profile", "lite", "--source", "http://127.0.0.1:9")
    assert done.returncode == 1, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert "127.0.0.1: cannot be reached" in errors[0]
    assert all(way in done.stderr for way in ("--weights DIR", "--source https://HOST", "HTTPS_PROXY"))


def test_a_download_that_nobody_wants_any_more_is_removed(provision: Program) -> None:
    """Interrupted, it stays for the next run that wants it; when another model was proved instead, it goes."""
    wanted = ("--profile", "lite", "--context", "4096")
    blobs = Path(provision.state, "blobs", "sha256")
    hub = Hub({f"{REPOSITORY}/{FILE}": tinymodel.model_bytes() + bytes(64 << 20)}, Faults(seconds_a_chunk=0.01))
    with serving(hub):
        argv = [sys.executable, "-m", "provisioner", "up", *wanted, "--source", hub.url, "--state-dir", provision.state]
        run = subprocess.Popen([*argv, "--set", f"port={provision.port}"], stderr=subprocess.DEVNULL)
        while not any(name.stat().st_blocks > 1000 for name in blobs.glob("*.part")):
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 5
    begun = sorted(path.name for path in blobs.iterdir())
    assert [name.partition(".")[2] for name in begun] == ["part", "part.journal"]
    kept = provision("plan", *wanted)
    assert ".part" not in kept.stdout
    told = provision("plan", "--profile", "demo")
    assert f"rm -f {blobs}/{begun[0]}" in told.stdout
    done = provision.up("--profile", "demo")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in blobs.iterdir()] == [tinymodel.sha256()]
