"""The whole appliance on a real container engine: an engine, a chat page that a browser uses, a gateway, monitoring.

One test for each engine; what they ask is the same.
"""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.services.gateway import ROUTES
from tests.bed import engine
from tests.e2e import browser
from tests.e2e.scan import METHODS, opened
from tests.e2e.stack import Stack, docker
from tests.splitting import names, tiny
from tools import images, pyimages

pytestmark = [
    pytest.mark.needs("compose", "gateway", "openwebui", "prometheus", "browser"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]

SERVICES = {
    "gateway": images.image("nginx"),
    "webui": pyimages.image(pyimages.OPEN_WEBUI),
    "prometheus": images.image("prometheus"),
    "node-exporter": images.image("node-exporter"),
}


def appliance(folder: Path, *words: str) -> Stack:
    named = (word for name, image in SERVICES.items() for word in ("--set", f"{name}.image={image}"))
    # Grafana is in no registry that the tests reach; its dashboards' queries are held against Prometheus elsewhere.
    stack = Stack(str(folder / "state"), planned=(*words, *named, "--set", "grafana=no"))
    stack.planned = (*stack.planned, "--set", f"prometheus.port={stack.spare}")
    return stack


def question(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 8}


def prometheus(stack: Stack, query: str) -> list[Any]:
    url = f"http://127.0.0.1:{stack.spare}/api/v1/query?query={urllib.request.quote(query)}"  # type: ignore[attr-defined]
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.loads(answer.read())["data"]["result"]
    assert isinstance(found, list)
    return found


def whole_journey(stack: Stack, metric: str = "", pieces: int = 2, rank: str = "") -> None:
    """From nothing to a browser's answer, and back to nothing.

    `metric` is one that the engine tells, if it tells any; `rank` a process of it that is stopped before the end.
    """
    first = stack.json("up", timeout=600)
    assert first["changed"] is True
    (service,) = stack.json("status")["services"]
    model, outside = service["model"], stack.door

    assert outside.ask("/v1/models")[0] == 401
    assert outside.ask("/v1/chat/completions", "sk-wrong", question(model))[0] == 401
    status, body = outside.ask("/v1/chat/completions", stack.key, question(model))
    assert (status, json.loads(body)["usage"]["completion_tokens"] > 0) == (200, True), body
    assert [one["id"] for one in json.loads(outside.ask("/v1/models", stack.key)[1])["data"]] == [model]

    made = stack.json("key", "create", "mara")
    assert outside.ask("/v1/chat/completions", made["key"], question(model))[0] == 200

    password = Path(stack.state, "secrets", "webui-admin.password").read_text().strip()
    with browser.page(trust_any_certificate=True) as shown:
        browser.sign_in(shown, outside.address, "admin@localhost", password)
        browser.choose(shown, model)
        answer = browser.ask(shown, "Tell me something.", enough=pieces)
    assert answer.text
    assert answer.states >= pieces, "the answer came in one piece"
    # An engine of one request at a time computes to its end what nobody waits for any more.
    assert outside.ask("/v1/chat/completions", stack.key, question(model), seconds=300)[0] == 200

    deadline = time.monotonic() + 60
    while not prometheus(stack, metric or 'up{job="gateway"} == 1'):
        assert time.monotonic() < deadline, f"Prometheus has no {metric}"
        time.sleep(1)

    before = {name: stack.of(name)["Id"] for name in stack.containers()}
    assert stack.json("up", timeout=300)["changed"] is False
    assert {name: stack.of(name)["Id"] for name in stack.containers()} == before
    assert only_declared_ports(stack)
    nobody_else_gets_in(stack, service["model"])

    if rank:
        one_rank_stops(stack, rank)
    stack.ok("down")
    assert stack.containers() == {}
    assert os.path.exists(f"{stack.state}/data/openwebui/webui.db"), "what people wrote outlives the services"
    stack.ok("down", "--purge")
    assert not os.path.exists(stack.state)


OF_THE_PAGE = {("GET", "/health"), ("GET", "/api/version")}
"""What the chat page tells everybody of itself, besides showing itself at whatever address."""


def nobody_else_gets_in(stack: Stack, model: str) -> None:
    """Without the key an engine tells its health, and the door for people shows its page; with one it serves inference."""
    health = {("GET", "/health"), ("GET", f"/v1/models/{model}")}
    people = {(method, "/healthz") for method in METHODS}
    served = {("POST", route) for route in ROUTES} | {("GET", "/v1/models")}
    for port, key, allowed in (
        (stack.port, "", health),
        (stack.port, "sk-wrong", health),
        (stack.published, "", people),
        (stack.published, "sk-wrong", people),
        (stack.published, stack.key, people | served),
    ):
        found = {one for one in opened(stack, port, key) if (one.method, one.path) not in allowed | OF_THE_PAGE}
        assert not {one for one in found if one.kind != "text/html"}, (port == stack.port, key)
        assert port == stack.published or not found
    assert not answers(f"http://{stack.address('llm')}:{stack.port}/health"), (
        "whoever knows its address reaches the engine"
    )


def one_rank_stops(stack: Stack, rank: str) -> None:
    """The server says that it is well, and computes nothing any more."""
    running = docker("top", stack.of("llm")["Id"], "-eo", "pid,args").splitlines()
    (pid,) = (int(line.split()[0]) for line in running if rank in line)
    os.kill(pid, signal.SIGSTOP)
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/health", timeout=10) as answer:
        assert answer.status == 200
    (told,) = (one for one in stack.json("check", code=1)["findings"] if one["id"] == "not-wedged")
    assert "it says that it is well, and no token came in time" in told["message"]
    assert told["fix"].startswith("provision up")


def answers(url: str) -> bool:
    """Whether an engine is there: where no bridge leads, what stands between this machine and others may take a connection."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def only_declared_ports(stack: Stack) -> bool:
    """Everything that is published is on loopback, and in the plan."""
    bound = {
        (one["HostIp"], int(one["HostPort"]))
        for name in stack.containers()
        for ports in (stack.of(name)["HostConfig"]["PortBindings"] or {}).values()
        for one in ports
    }
    plan = stack.json("plan")
    declared = {(port["host"], port["port"]) for one in plan["beside"] for port in one["published"]}
    return bound == declared and {host for host, _ in bound} == {"127.0.0.1"}


@pytest.fixture
def brought_up(tmp_path: Path) -> Iterator[list[Stack]]:
    stacks: list[Stack] = []
    yield stacks
    for stack in stacks:
        stack.end()


@pytest.mark.needs("llamacpp")
def test_llamacpp(tmp_path: Path, brought_up: list[Stack]) -> None:
    stack = appliance(tmp_path, "--profile", "demo", "--set", f"image={images.image('llamacpp')}")
    brought_up.append(stack)
    whole_journey(stack, "llamacpp:tokens_predicted_total")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny model with random weights and a tokenizer, as a folder of safetensors."""
    with engine.running(tmp_path_factory.mktemp("weights")) as vllm:
        return str(vllm.model("gqa"))


@pytest.mark.needs("vllm", "image-vllm")
@pytest.mark.parametrize("ranks", [pytest.param(1, marks=pytest.mark.thorough), 2])
def test_vllm(tmp_path: Path, brought_up: list[Stack], checkpoint: str, ranks: int) -> None:
    words = ("--model", checkpoint, "--engine", "vllm", "--context", "512", "--concurrency", "2")
    settings = {
        "image": pyimages.image(pyimages.VLLM),
        "engine.tensor-parallel-size": str(ranks),
        "engine.enforce-eager": "true",
        # Two ranks that wait for each other in turns take their time on two cores beside a chat page that starts.
        "first_token_seconds": "90",
    }
    stack = appliance(
        tmp_path, *words, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))
    )
    brought_up.append(stack)
    whole_journey(stack, "vllm:cache_config_info", rank="VLLM::Worker_TP1" if ranks > 1 else "")


@pytest.mark.needs("ollama")
def test_ollama(tmp_path: Path, brought_up: list[Stack]) -> None:
    """It knows no keys, and tells Prometheus nothing: the gateway does both for it. The model's parts are merged for it."""
    parts = [tmp_path / name for name in names("tiny", 3)]
    for path, content in zip(parts, tiny((0, 9)), strict=True):
        path.write_bytes(content)
    words = ("--model", str(parts[0]), "--engine", "ollama", "--context", "2048", "--concurrency", "2")
    stack = appliance(tmp_path, *words, "--set", f"image={images.image('ollama')}")
    brought_up.append(stack)
    whole_journey(stack)


@pytest.mark.needs("vllm", "image-vllm")
def test_transformers(tmp_path: Path, brought_up: list[Stack], checkpoint: str) -> None:
    """It holds back what is no whole letter, and this model's random bytes seldom are."""
    words = ("--model", checkpoint, "--engine", "transformers", "--context", "512", "--concurrency", "1")
    stack = appliance(tmp_path, *words, "--set", f"image={pyimages.image(pyimages.VLLM)}")
    brought_up.append(stack)
    whole_journey(stack, pieces=1)
