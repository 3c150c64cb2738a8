"""The embedded engine for real: it starts, answers, keeps its keys, can be wedged, and says why it cannot start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.documents import Json
from provisioner.model.facts import Unknown
from provisioner.model.plan import Service
from provisioner.model.record import replace
from provisioner.model.release import Running
from provisioner.model.report import Completion
from provisioner.model.spec import Spec
from provisioner.phases.observe import observe_engines
from provisioner.world import probe, tinymodel
from tests.bed.adapters import write_gguf_adapter
from tests.ports import free_port
from tests.unit.planning.samples import machine, plan

pytestmark = [pytest.mark.needs("embedded")]

# The parent plays the keeper: it has the engine for a child, and its number is what `observe` is given.
KEEPER = 'log=$1; shift; "$@" 2>"$log" & trap "kill -TERM $!; wait; exit" TERM; wait'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("model") / "tiny.gguf")
    tinymodel.write(path)
    return path


@pytest.fixture
def service(tmp_path: Path, model: str) -> Service:
    """The demo's own service as it is planned, on a port and with a key of the test's."""
    for folder in ("secrets", "logs"):
        (tmp_path / folder).mkdir()
    key = tmp_path / "secrets" / "llm.key"
    key.write_text("the-right-key\n")
    planned = plan(machine("2 cores, 16 GiB"), Spec("demo"))
    port, old = free_port(), planned.services[0]
    swap = {old.model_path: model, old.key_file: str(key), str(old.port): str(port)}
    argv = (sys.executable, *(swap.get(word, word) for word in old.argv[1:]))
    return replace(
        old, argv=argv, port=port, key_file=str(key), model_path=model, ready_seconds=10, first_token_seconds=5
    )


@pytest.fixture
def keeper(service: Service) -> Iterator[Running]:
    log = os.path.join(os.path.dirname(service.key_file), "..", "logs", f"{service.name}.log")
    process = subprocess.Popen(["bash", "-c", KEEPER, "keeper", log, *service.argv])
    deadline = time.monotonic() + 10
    while not probe.healthy(service):
        assert time.monotonic() < deadline, "the engine does not get ready"
        time.sleep(0.01)
    yield Running(service.name, "0" * 64, "process", process.pid, 0, "S")
    process.terminate()
    process.wait(5)


def test_everything_that_the_checks_want_to_know(service: Service, keeper: Running) -> None:
    seen = observe_engines((service,), (keeper,))[0]
    assert seen.process_state in ("S", "R")
    assert seen.health == 200
    assert seen.models == (service.model_name,)
    assert seen.context == service.context
    assert (seen.status_without_key, seen.status_with_wrong_key) == (401, 401)
    assert isinstance(seen.completion, Completion)
    assert (seen.completion.status, seen.completion.tokens, seen.completion.error) == (200, 16, "")
    assert len(seen.completion.arrivals) >= 8
    assert list(seen.completion.arrivals) == sorted(seen.completion.arrivals)
    assert seen.completion.text.isascii()
    assert seen.completion.text.isprintable()
    assert any("listening" in line or "slot" in line or "serving" in line for line in seen.log_tail)


def test_a_stopped_engine_is_seen_as_stopped(service: Service, keeper: Running) -> None:
    pid = observe_engines((service,), (keeper,))[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    while letter(pid) != "T":
        time.sleep(0.001)
    try:
        seen = observe_engines((service,), (keeper,))[0]
    finally:
        os.kill(pid, signal.SIGCONT)
    assert seen.process_state == "T"
    assert isinstance(seen.completion, Unknown)
    assert "no answer within" in seen.completion.reason
    after = observe_engines((service,), (keeper,))[0]
    assert isinstance(after.completion, Completion)
    assert after.completion.tokens == 16


def test_a_missing_key_file_is_a_reason_not_an_exception(service: Service, keeper: Running) -> None:
    seen = observe_engines((replace(service, key_file="/nowhere/llm.key"),), (keeper,))[0]
    assert isinstance(seen.models, Unknown)
    assert "/nowhere/llm.key" in seen.models.reason
    assert (seen.health, seen.status_without_key) == (200, 401)


def test_an_engine_of_another_release_is_a_reason_not_an_exception(service: Service, keeper: Running) -> None:
    seen = observe_engines((replace(service, engine="forgotten"),), (keeper,))[0]
    assert isinstance(seen.context, Unknown)
    assert "forgotten" in seen.context.reason
    assert seen.health == 200


def test_a_service_that_is_not_there(service: Service) -> None:
    seen = observe_engines((service,), ())[0]
    assert (seen.pid, seen.process_state) == (None, None)
    assert seen.health == Unknown("nobody listens on the port")
    assert seen.completion == Unknown("nobody listens on the port")


def test_the_key_is_nowhere_in_argv_or_log_and_prompts_are_not_logged(service: Service, keeper: Running) -> None:
    body = {"messages": [{"role": "user", "content": "a very private question"}], "max_tokens": 4}
    answer = probe.post(service, "/v1/chat/completions", "the-right-key", dict(body))  # type: ignore[arg-type]
    assert not isinstance(answer, Unknown)
    assert answer.status == 200
    with open(os.path.join(os.path.dirname(service.key_file), "..", "logs", f"{service.name}.log")) as file:
        log = file.read()
    assert "private question" not in log
    # Of a single key llama.cpp writes the last four letters: `****-key`.
    assert "****" not in log
    assert "the-right-key" not in " ".join(service.argv)


def test_only_health_is_open_without_a_key(service: Service, keeper: Running) -> None:
    opened = {
        path: probe.get(service, path, None) for path in ("/health", "/v1/models", "/props", "/metrics", "/slots")
    }
    statuses = {path: answer.status for path, answer in opened.items() if not isinstance(answer, Unknown)}
    assert statuses == {"/health": 200, "/v1/models": 401, "/props": 401, "/metrics": 401, "/slots": 401}
    page = probe.get(service, "/", None)
    assert not isinstance(page, Unknown)
    assert page.status == 404


def test_it_ends_within_a_second_even_while_it_speaks(service: Service, keeper: Running) -> None:
    pid = observe_engines((service,), (keeper,))[0].pid
    assert pid is not None
    asking = subprocess.Popen(
        [sys.executable, "-c", SPEAKER, str(service.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(0.3)
    deadline = time.monotonic() + 10
    os.kill(pid, signal.SIGTERM)
    while letter(pid) not in ("", "Z"):
        assert time.monotonic() < deadline, "it does not end while it answers"
        time.sleep(0.005)
    asking.wait(5)


SPEAKER = """
import http.client, json, sys
line = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=5)
body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 100000, "stream": True}
line.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer the-right-key"})
line.getresponse().read()
"""


def letter(pid: int) -> str:
    """The kernel's letter for a process, "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(") ")[2][:1]
    except FileNotFoundError:
        return ""


def refused(*words: str) -> tuple[int, str]:
    argv = [sys.executable, "-I", "-m", "provisioner.world.llamacpp", "--alias", "demo", "--port", str(free_port())]
    done = subprocess.run([*argv, *words], capture_output=True, text=True, timeout=30, check=False)
    # The engine's own log comes from a thread of its own, and may end after our line.
    return done.returncode, next(
        line for line in done.stderr.splitlines() if "cannot serve" in line or "error:" in line
    )


def test_why_it_does_not_start(model: str, tmp_path: Path) -> None:
    whole = Path(model).read_bytes()
    (tmp_path / "short.gguf").write_bytes(whole[:-100])
    (tmp_path / "junk.gguf").write_bytes(b"junk" * 100)
    (tmp_path / "lacking.gguf").write_bytes(whole.replace(b"blk.0.attn_q.weight", b"xxx.0.attn_q.weight", 1))
    (tmp_path / "empty.key").write_text("\n")
    cases = {
        (1, "No such file"): ("--model", "/nowhere.gguf"),
        (1, "cut short"): ("--model", str(tmp_path / "short.gguf")),
        (1, "no GGUF file"): ("--model", str(tmp_path / "junk.gguf")),
        (1, "could not load it"): ("--model", str(tmp_path / "lacking.gguf")),
        (1, "holds no key"): ("--model", model, "--api-key-file", str(tmp_path / "empty.key")),
        (1, "/nowhere.key"): ("--model", model, "--api-key-file", "/nowhere.key"),
        (2, "unrecognized arguments: --magic"): ("--model", model, "--magic"),
    }
    for (code, words), argv in cases.items():
        found = refused(*argv)
        assert found[0] == code, found
        assert words in found[1]


def started(tmp_path: Path, *argv: str) -> tuple[str, str]:
    """What the embedded engine answers with these flags, and what it logged meanwhile."""
    key, log = tmp_path / "llm.key", tmp_path / "engine.log"
    key.write_text("the-right-key\n")
    port = free_port()
    words = ["--alias", "tiny", "--port", str(port), "--ctx-size", "1024", "--threads", "1", "--api-key-file", str(key)]
    bare = replace(plan(machine("2 cores, 16 GiB"), Spec("demo")).services[0], port=port, key_file=str(key))
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-I", "-m", "provisioner.world.llamacpp", *words, *argv], stderr=output, cwd=tmp_path
        )
        try:
            deadline = time.monotonic() + 20
            while not probe.healthy(bare):
                assert server.poll() is None, log.read_text()[-2000:]
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.02)
            asked: Json = {
                "model": "tiny", "messages": [{"role": "user", "content": "ba ba ba ba ba ba"}], "max_tokens": 96,
                "temperature": 0, "ignore_eos": True,
            }  # fmt: skip
            told = probe.post(bare, "/v1/chat/completions", "the-right-key", asked, 30)
        finally:
            server.kill()
            server.wait(5)
    assert not isinstance(told, Unknown), told
    return json.loads(told.body)["choices"][0]["message"]["content"], log.read_text()


def test_a_smaller_model_drafts(tmp_path: Path, model: str) -> None:
    """The model itself stands for it: every token that it drafts is taken."""
    alone, _ = started(tmp_path, "--model", model)
    drafted, log = started(tmp_path, "--model", model, "--spec-type", "draft-simple", "--model-draft", model)
    assert drafted == alone
    assert "draft acceptance" in log, log[-3000:]


def test_words_that_repeat_draft(tmp_path: Path, model: str) -> None:
    alone, _ = started(tmp_path, "--model", model)
    drafted, log = started(tmp_path, "--model", model, "--spec-type", "ngram-simple")
    assert drafted == alone
    assert "ngram" in log, log[-3000:]


def test_an_adapter_changes_what_it_says(tmp_path: Path, model: str) -> None:
    path = write_gguf_adapter(tmp_path / "sql.gguf")
    alone, _ = started(tmp_path, "--model", model)
    adapted, log = started(tmp_path, "--model", model, "--lora", str(path))
    assert adapted != alone, log[-3000:]
