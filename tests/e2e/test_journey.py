"""Journey 1 on this machine: from nothing to a proved endpoint with the real embedded engine, and everything after."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.world import processes, tinymodel
from tests.e2e.appliance import Appliance
from tests.ports import free_port

pytestmark = [pytest.mark.needs("embedded")]


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"))
    yield appliance
    appliance.end()


def ask(appliance: Appliance, path: str, key: str | None, body: dict[str, object] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", appliance.port, timeout=20)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    connection.request("POST" if body else "GET", path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


QUESTION: dict[str, object] = {
    "model": "demo-tiny",
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 8,
}


def test_from_nothing_to_an_endpoint_that_answers_with_its_key_only(appliance: Appliance) -> None:
    done = appliance.ok("up")
    assert f"http://127.0.0.1:{appliance.port}/v1" in done.stdout
    assert "The engine answered" in done.stdout
    assert appliance.key in done.stderr
    status, content = ask(appliance, "/v1/chat/completions", appliance.key, QUESTION)
    assert status == 200
    assert json.loads(content)["usage"]["completion_tokens"] > 0
    assert ask(appliance, "/v1/chat/completions", None, QUESTION)[0] == 401
    assert ask(appliance, "/v1/chat/completions", "not-the-key", QUESTION)[0] == 401


def test_the_key_is_nowhere_but_in_its_own_file(appliance: Appliance) -> None:
    document = json.dumps(appliance.json("up"))
    key = appliance.key
    for verb in ("status", "check", "history", "plan"):
        document += json.dumps(appliance.json(verb))
    assert key not in document
    for folder, _, names in os.walk(appliance.state):
        for name in names:
            if folder.endswith("/secrets"):
                assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600
            else:
                assert key.encode() not in Path(folder, name).read_bytes(), f"{folder}/{name}"
    for pid in (appliance.keeper(), appliance.engine()):
        assert key.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
        assert key.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_second_run_changes_nothing(appliance: Appliance) -> None:
    appliance.ok("up")
    before, keeper = appliance.snapshot(), appliance.keeper()
    again = appliance.json("up")
    assert again["changed"] is False
    assert appliance.snapshot() == before
    assert appliance.keeper() == keeper
    assert appliance.json("plan")["actions"] == []


def test_plan_prints_the_very_actions_that_up_executes(appliance: Appliance) -> None:
    planned = appliance.json("plan")["actions"]
    assert not os.path.exists(appliance.state)
    done = appliance.ok("up")
    carried_out = [line.split("  ", 3)[-1].strip() for line in done.stderr.splitlines()]
    missing = [action for action in planned if not any(action in line for line in carried_out)]
    assert missing == []


def test_it_survives_the_terminal_that_started_it(appliance: Appliance) -> None:
    shell = subprocess.Popen(
        appliance.words("up"), start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert shell.wait(60) == 0
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGHUP)
    assert appliance.run("check").returncode == 0


def test_down_removes_what_was_made_and_nothing_else(appliance: Appliance) -> None:
    appliance.ok("up")
    keeper = appliance.keeper()
    Path(appliance.state, "thesis.txt").write_text("mine")
    done = appliance.ok("down")
    assert "weights" in done.stdout
    assert processes.session_members(keeper) == ()
    assert sorted(os.listdir(appliance.state)) == ["blobs", "lock", "models", "state.db", "thesis.txt"]
    appliance.ok("down")
    appliance.ok("down", "--purge")
    assert os.listdir(appliance.state) == ["thesis.txt"]
    appliance.ok("down")


def test_a_change_is_rolled_out_and_rolled_back(appliance: Appliance) -> None:
    appliance.ok("up")
    first = appliance.release()
    appliance.ok("up", "--concurrency", "1")
    second = appliance.release()
    assert first != second
    appliance.ok("rollback")
    assert appliance.release() == first
    appliance.ok("rollback", "--to", second[:12])
    assert appliance.release() == second
    verbs = [entry["verb"] for entry in appliance.json("history")["runs"]]
    assert verbs == ["rollback", "rollback", "up", "up"]


def mutated(path: Path, old: bytes, new: bytes) -> str:
    """The tiny model with some bytes of its header changed, its length kept."""
    tinymodel.write(str(path))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new.ljust(len(old))))
    return str(path)


def test_a_release_that_fails_its_checks_leaves_the_previous_one_serving(appliance: Appliance, tmp_path: Path) -> None:
    """A model whose chat template raises: its engine starts and is healthy, and not one question is answered."""
    appliance.ok("up")
    first, key = appliance.release(), appliance.key
    model = mutated(tmp_path / "mute.gguf", tinymodel.CHAT_TEMPLATE.encode(), b"{{ raise_exception('no') }}")
    done = appliance.run("up", "--model", model, "--context", "512")
    assert done.returncode == 4, done.stderr
    assert "fix:" in done.stderr
    assert first[:12] in done.stderr
    assert appliance.release() == first
    assert ask(appliance, "/v1/chat/completions", key, QUESTION)[0] == 200
    assert len(os.listdir(f"{appliance.state}/releases")) == 1
    assert appliance.json("history")["runs"][0]["outcome"] == "rolled-back"
    assert appliance.run("check").returncode == 0


def test_an_engine_that_does_not_start_leaves_the_previous_one_serving(appliance: Appliance, tmp_path: Path) -> None:
    """A model whose header is in order and whose words are missing: only the engine itself can notice."""
    appliance.ok("up")
    first = appliance.release()
    broken = mutated(tmp_path / "broken.gguf", b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenz")
    done = appliance.run("up", "--model", broken, "--context", "512")
    assert done.returncode == 4, done.stderr
    assert "fix:" in done.stderr
    assert appliance.release() == first
    assert appliance.run("check").returncode == 0


def test_a_frozen_engine_is_reported_as_wedged_and_healed(appliance: Appliance) -> None:
    appliance.ok("up")
    engine = appliance.engine()
    os.kill(engine, signal.SIGSTOP)
    began = time.monotonic()
    document = appliance.json("check", code=1)
    assert time.monotonic() - began < 60
    wedged = [
        finding for finding in document["findings"] if "wedged" in finding["message"] or "stopped" in finding["message"]
    ]
    assert wedged
    assert any(str(engine) in finding["fix"] or "provision up" in finding["fix"] for finding in wedged)
    appliance.ok("up")
    assert appliance.engine() != engine
    assert appliance.run("check").returncode == 0


def test_an_engine_that_was_killed_is_started_again_by_up(appliance: Appliance) -> None:
    appliance.ok("up")
    keeper = appliance.keeper()
    os.kill(keeper, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while processes.session_members(keeper) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert appliance.run("check").returncode == 1
    assert appliance.json("status", code=1)["services"][0]["running"] is False
    appliance.ok("up")
    assert appliance.run("check").returncode == 0


def test_two_runs_at_once_the_second_says_who_is_at_work(appliance: Appliance) -> None:
    appliance.ok("up")
    engine = appliance.engine()
    os.kill(engine, signal.SIGSTOP)
    first = subprocess.Popen(appliance.words("up"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not appliance.json("status").get("holder") and time.monotonic() < deadline:
            time.sleep(0.05)
        second = appliance.run("down")
        assert second.returncode == 3
        assert f"process {first.pid}" in second.stderr
        assert "--wait" in second.stderr
        waiting = appliance.run("up", "--wait", "90")
        assert waiting.returncode == 0, waiting.stderr
    finally:
        first.wait(90)


def test_logs_can_be_followed_across_what_comes(appliance: Appliance) -> None:
    appliance.ok("up")
    follower = subprocess.Popen(appliance.words("logs", "-f"), stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        ask(appliance, "/v1/chat/completions", "a-wrong-key", QUESTION)
        deadline = time.monotonic() + 10
        seen = ""
        while "Invalid API Key" not in seen and time.monotonic() < deadline:
            seen = follower.stdout.readline()
        assert "Invalid API Key" in seen
    finally:
        follower.terminate()
        follower.wait(10)
        assert follower.stdout is not None
        follower.stdout.close()


def test_interrupted_it_says_so_and_the_previous_release_serves(appliance: Appliance) -> None:
    appliance.ok("up")
    first = appliance.release()
    running = subprocess.Popen(
        appliance.words("up", "--concurrency", "1"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    for line in running.stderr:
        if "kill -TERM" in line:
            break
    running.send_signal(signal.SIGINT)
    words = running.stderr.read()
    running.stderr.close()
    assert running.wait(60) in (0, 5), words
    if running.returncode == 5:
        assert "safe to run again" in words or "run the same command again" in words
        assert appliance.release() == first
    assert appliance.run("check").returncode == 0


def test_the_rendered_folder_runs_without_us(appliance: Appliance, tmp_path: Path) -> None:
    appliance.ok("up")
    key = appliance.key
    appliance.ok("render", "-o", str(tmp_path / "out"))
    appliance.end()
    with subprocess.Popen(
        ["sh", str(tmp_path / "out" / "start.sh")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as stack:
        try:
            deadline = time.monotonic() + 20
            status = 0
            while status != 200 and time.monotonic() < deadline:
                try:
                    status, _ = ask(appliance, "/v1/chat/completions", key, QUESTION)
                except OSError:
                    time.sleep(0.05)
            assert status == 200
        finally:
            os.killpg(stack.pid, signal.SIGTERM)


def test_a_folder_that_is_somebody_elses_is_left_alone(appliance: Appliance) -> None:
    """It has the names of our parts, and nothing of it was made by us."""
    mine = {"logs/app.log": "log", "secrets/id_rsa": "key", "models/mine/w.gguf": "weights", "notes.tmp": "notes"}
    for name, text in mine.items():
        path = Path(appliance.state, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    before = appliance.snapshot()
    appliance.ok("down")
    appliance.ok("down", "--purge")
    refused = appliance.run("up")
    assert refused.returncode == 3
    assert "provision did not make it" in refused.stderr
    assert appliance.run("rollback").returncode == 3
    assert appliance.snapshot() == before
    assert not Path(appliance.state, "state.db").exists()


def test_rendering_leaves_what_lies_beside_alone(appliance: Appliance, tmp_path: Path) -> None:
    beside = tmp_path / "out.tmp" / "thesis"
    beside.parent.mkdir()
    beside.write_text("mine")
    appliance.ok("render", "-o", str(tmp_path / "out"))
    assert beside.read_text() == "mine"
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.name != "state") == ["out", "out.tmp"]


def test_a_failure_over_a_damaged_release_takes_nothing_away(appliance: Appliance, tmp_path: Path) -> None:
    """The release in force was edited by hand, so it cannot be executed again: its files and its key stay all the same."""
    appliance.ok("up", "--concurrency", "1")
    appliance.ok("up")
    key, releases = appliance.key, set(os.listdir(f"{appliance.state}/releases"))
    script = Path(appliance.state, "releases", appliance.release(), "start.sh")
    script.write_text(script.read_text() + "# a note\n")
    model = mutated(tmp_path / "mute.gguf", tinymodel.CHAT_TEMPLATE.encode(), b"{{ raise_exception('no') }}")
    done = appliance.run("up", "--model", model, "--context", "512")
    assert done.returncode == 1, done.stderr
    assert "kept" in done.stderr
    assert appliance.key == key
    assert set(os.listdir(f"{appliance.state}/releases")) == releases
    appliance.ok("up")
    assert appliance.key == key
    assert appliance.run("check").returncode == 0


def test_what_cannot_be_brought_back_is_not_called_rolled_back(appliance: Appliance, tmp_path: Path) -> None:
    """The new release moves to another port and fails; meanwhile a stranger takes the old one."""
    appliance.ok("up")
    old, appliance.port = appliance.port, free_port()
    model = mutated(tmp_path / "mute.gguf", tinymodel.CHAT_TEMPLATE.encode(), b"{{ raise_exception('no') }}")
    running = subprocess.Popen(
        appliance.words("up", "--model", model, "--context", "512"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr is not None
    for line in running.stderr:
        if "kill -TERM" in line:
            break
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", old))
        stranger.listen()
        words = running.stderr.read()
        running.stderr.close()
        assert running.wait(90) == 1, words
    assert "does not pass its checks either" in words
    assert appliance.json("history")["runs"][0]["outcome"] == "failed"


def test_the_fifth_release_leaves_nothing_to_do(appliance: Appliance) -> None:
    for context in ("256", "320", "384", "448"):
        appliance.ok("up", "--context", context)
    appliance.ok("up")
    assert len(os.listdir(f"{appliance.state}/releases")) == 3
    assert appliance.json("plan")["actions"] == []
    assert appliance.json("up")["changed"] is False


def test_a_planted_link_does_not_get_the_key(appliance: Appliance, tmp_path: Path) -> None:
    appliance.ok("up")
    appliance.ok("down")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    os.symlink(elsewhere, f"{appliance.state}/secrets")
    refused = appliance.run("up")
    assert refused.returncode in (1, 3), refused.stderr
    assert "no key is put there" in refused.stderr
    assert list(elsewhere.iterdir()) == []
