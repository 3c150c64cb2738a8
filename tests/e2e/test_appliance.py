"""The whole appliance on a real container engine: an engine, a chat page that a browser uses, a gateway, monitoring.

One test for each engine; what they ask is the same.
"""

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed import engine
from tests.e2e import browser
from tests.e2e.door import Door
from tests.e2e.stack import Stack
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


def door(stack: Stack) -> Door:
    return Door(f"https://127.0.0.1:{stack.published}", f"{stack.state}/secrets/tls/authority.pem")


def question(model: str) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": "Count."}], "max_tokens": 8}


def prometheus(stack: Stack, query: str) -> list[Any]:
    url = f"http://127.0.0.1:{stack.spare}/api/v1/query?query={urllib.request.quote(query)}"  # type: ignore[attr-defined]
    with urllib.request.urlopen(url, timeout=10) as answer:
        found = json.loads(answer.read())["data"]["result"]
    assert isinstance(found, list)
    return found


def whole_journey(stack: Stack, metric: str) -> None:
    """From nothing to a browser's answer, and back to nothing."""
    first = stack.json("up", timeout=600)
    assert first["changed"] is True
    (service,) = stack.json("status")["services"]
    model, outside = service["model"], door(stack)

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
        answer = browser.ask(shown, "Tell me something.", enough=3)
    assert answer.text
    assert answer.states > 1, "the answer came in one piece"

    deadline = time.monotonic() + 60
    while not prometheus(stack, metric):
        assert time.monotonic() < deadline, f"Prometheus has no {metric}"
        time.sleep(1)

    before = {name: stack.of(name)["Id"] for name in stack.containers()}
    assert stack.json("up", timeout=300)["changed"] is False
    assert {name: stack.of(name)["Id"] for name in stack.containers()} == before
    assert only_declared_ports(stack)

    stack.ok("down")
    assert stack.containers() == {}
    assert os.path.exists(f"{stack.state}/data/openwebui/webui.db"), "what people wrote outlives the services"
    stack.ok("down", "--purge")
    assert not os.path.exists(stack.state)


def only_declared_ports(stack: Stack) -> bool:
    """Everything that is published is on loopback, and in the plan."""
    bound = {
        (one["HostIp"], int(one["HostPort"]))
        for name in stack.containers()
        for ports in (stack.of(name)["HostConfig"]["PortBindings"] or {}).values()
        for one in ports
    }
    plan = stack.json("plan")
    declared = {(one["host"], one["port"]) for one in plan["services"]}
    declared |= {(port["host"], port["port"]) for one in plan["beside"] for port in one["published"]}
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
    }
    stack = appliance(
        tmp_path, *words, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))
    )
    brought_up.append(stack)
    whole_journey(stack, "vllm:cache_config_info")
