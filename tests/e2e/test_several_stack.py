"""Several models behind one gateway on a real container engine: routed by name, and each comes and goes without the others."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.world import containers
from tests.e2e.door import Door
from tests.e2e.several import models, mute, question, tiny
from tests.e2e.stack import Stack, docker
from tools import images

pytestmark = [pytest.mark.needs("compose", "gateway", "llamacpp"), pytest.mark.timeout(300)]

IMAGES = (f"image={images.image('llamacpp')}", f"gateway.image={images.image('nginx')}", "openwebui=no", "threads=1")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    settings = (word for one in IMAGES for word in ("--set", one))
    stack = Stack(str(tmp_path / "state"), planned=("--no-monitoring", *settings))
    yield stack
    stack.end()


def door(stack: Stack) -> Door:
    return Door(f"https://127.0.0.1:{stack.published}", f"{stack.state}/secrets/tls/authority.pem")


def made(stack: Stack) -> dict[str, str]:
    """The container of each service; of the door, which only this host asks through, a new one is made for other models."""
    return {name: stack.of(name)["Id"] for name in stack.containers() if name != "door"}


def ask(stack: Stack, model: str) -> tuple[int, Any]:
    status, body = door(stack).ask("/v1/chat/completions", stack.key, question(model))
    return status, json.loads(body)


def offered(stack: Stack) -> list[str]:
    return [one["id"] for one in json.loads(door(stack).ask("/v1/models", stack.key)[1])["data"]]


def engines_asked(stack: Stack) -> dict[str, set[str]]:
    """By model the addresses that the gateway sent requests for it to, as its own log says."""
    found: dict[str, set[str]] = {}
    for line in containers.log(stack.state, "gateway", 2000, follow=False):
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("model") and entry["status"] == 200:
            found.setdefault(entry["model"], set()).add(entry["engine"].rpartition(":")[0])
    return found


def address(stack: Stack, service: str) -> str:
    (network,) = stack.of(service)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


class Traffic:
    """Somebody who streams answers of one model through the gateway, one after the other, until told to stop."""

    def __init__(self, stack: Stack, model: str) -> None:
        self.stack, self.model = stack, model
        self.over, self.whole, self.broken = threading.Event(), 0, list[str]()
        self.thread = threading.Thread(target=self._stream)

    def _stream(self) -> None:
        while not self.over.is_set():
            asked = question(self.model, 120, stream=True, ignore_eos=True)
            status, body = door(self.stack).ask("/v1/chat/completions", self.stack.key, asked)
            if status == 200 and body.rstrip().endswith("[DONE]"):
                self.whole += 1
            else:
                self.broken.append(f"{status}: …{body[-200:]}")

    def __enter__(self) -> "Traffic":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()


def test_models_behind_one_door_come_and_go_one_by_one(stack: Stack, tmp_path: Path) -> None:
    alpha, beta, gamma = (tiny(tmp_path, name, place) for place, name in enumerate(("alpha", "beta", "gamma")))
    stack.ok("up", *models(alpha, beta))
    assert offered(stack) == ["alpha", "beta"]
    answers = {name: ask(stack, name) for name in ("alpha", "beta")}
    assert [status for status, _ in answers.values()] == [200, 200]
    texts = {name: body["choices"][0]["message"]["content"] for name, (_, body) in answers.items()}
    assert texts["alpha"] != texts["beta"]
    assert engines_asked(stack) == {name: {address(stack, f"llm-{name}")} for name in ("alpha", "beta")}

    status, body = ask(stack, "delta")
    assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert "alpha, beta" in body["error"]["message"]

    first = made(stack)
    assert stack.json("up", *models(alpha, beta))["changed"] is False
    assert made(stack) == first

    with Traffic(stack, "alpha") as streams:
        stack.ok("up", *models(alpha, beta, gamma))
        three = made(stack)
        assert {name: three[name] for name in first} == first, "another model made others anew"
        assert offered(stack) == ["alpha", "beta", "gamma"]
        assert ask(stack, "gamma")[0] == 200
        stack.ok("up", *models(alpha, gamma))
        assert made(stack) == {name: three[name] for name in ("llm-alpha", "llm-gamma", "gateway")}
    assert (streams.broken, streams.whole > 0) == ([], True)
    assert offered(stack) == ["alpha", "gamma"]
    assert ask(stack, "beta")[0] == 404

    stack.ok("rollback")
    assert offered(stack) == ["alpha", "beta", "gamma"]
    assert {name: each for name, each in made(stack).items() if name != "llm-beta"} == {
        name: each for name, each in three.items() if name != "llm-beta"
    }
    stack.ok("down", "--purge")
    assert (stack.containers(), Path(stack.state).exists()) == ({}, False)


def test_one_that_gives_no_answer_takes_the_release_back_and_no_other_engine_is_touched(
    stack: Stack, tmp_path: Path
) -> None:
    alpha, beta = tiny(tmp_path, "alpha"), tiny(tmp_path, "beta", 1)
    stack.ok("up", *models(alpha, beta))
    good, there = stack.json("status")["release"], made(stack)
    with Traffic(stack, "alpha") as streams:
        done = stack.run("up", *models(alpha, beta, mute(tmp_path, "gamma")))
    assert done.returncode == 4, done.stderr
    assert "llm-gamma" in done.stderr
    assert f"release {good[:12]} is back" in done.stderr
    assert made(stack) == there
    assert (streams.broken, streams.whole > 0) == ([], True)
    assert offered(stack) == ["alpha", "beta"]
    assert stack.json("check")["findings"] == []


def test_of_two_copies_behind_one_name_either_answers_and_one_alone_goes_on(stack: Stack, tmp_path: Path) -> None:
    stack.planned = (*stack.planned, *models(tiny(tmp_path, "alpha")), "--set", "replicas=2")
    stack.ok("up")
    assert offered(stack) == ["alpha"]
    with Traffic(stack, "alpha"), Traffic(stack, "alpha"):
        wait_until(lambda: len(engines_asked(stack).get("alpha", ())) == 2, "one copy has all the requests")
    there = made(stack)
    docker("stop", "--time", "0", there["llm-alpha"])
    assert [ask(stack, "alpha")[0] for _ in range(6)] == [200] * 6
    findings = stack.json("check", code=1)["findings"]
    assert all("llm-alpha:" in one["message"] or "llm-alpha " in one["message"] for one in findings), findings
    stack.ok("up")
    assert {name: each for name, each in made(stack).items() if name != "llm-alpha"} == {
        name: each for name, each in there.items() if name != "llm-alpha"
    }
    assert stack.json("check")["findings"] == []


def wait_until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)
