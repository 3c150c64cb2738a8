"""What watches the engines lives across releases, and goes by the newest: the real Prometheus on a real container engine."""

import json
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.several import models, tiny
from tests.e2e.stack import Stack, docker
from tools import images

pytestmark = [pytest.mark.needs("compose", "gateway", "llamacpp", "prometheus"), pytest.mark.timeout(300)]

IMAGES = {
    "image": images.image("llamacpp"),
    "gateway.image": images.image("nginx"),
    "prometheus.image": images.image("prometheus"),
    "node-exporter.image": images.image("node-exporter"),
}

BOTH = {"llm", "llm-beta"}


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(str(tmp_path / "state"))
    settings = {**IMAGES, "prometheus.port": str(stack.spare), "openwebui": "no", "grafana": "no", "threads": "1"}
    stack.planned = tuple(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))
    yield stack
    stack.end()


def asked(stack: Stack, wanted: set[str]) -> set[str]:
    """The engines that Prometheus asks: it takes up others within seconds after it has read of them."""
    until = time.monotonic() + 20
    while (found := _asked(stack)) != wanted and time.monotonic() < until:
        time.sleep(0.5)
    return found


def _asked(stack: Stack) -> set[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.spare}/api/v1/targets", timeout=10) as answer:
        targets = json.loads(answer.read())["data"]["activeTargets"]
    return {one["labels"]["service"] for one in targets if one["labels"]["job"] == "engine"}


def offered(stack: Stack) -> list[str]:
    return [one["id"] for one in json.loads(stack.door.ask("/v1/models", stack.key)[1])["data"]]


def lives(stack: Stack) -> dict[str, tuple[str, str]]:
    """What stays when engines come and go: each container, and since when it runs."""
    there = {name: stack.of(name) for name in ("gateway", "prometheus", "node-exporter")}
    return {name: (one["Id"], one["State"]["StartedAt"]) for name, one in there.items()}


def test_it_goes_by_each_release_and_is_never_made_anew(stack: Stack, tmp_path: Path) -> None:
    alpha, beta = tiny(tmp_path, "alpha"), tiny(tmp_path, "beta", 1)
    stack.ok("up", *models(alpha))
    first, there = stack.json("status")["release"], lives(stack)
    assert asked(stack, {"llm"}) == {"llm"}
    stack.ok("up", *models(alpha, beta))
    assert asked(stack, BOTH) == BOTH
    stack.ok("up", *models(alpha, beta), "--context", "512")
    assert asked(stack, BOTH) == BOTH
    stack.ok("rollback", "--to", first)
    assert asked(stack, {"llm"}) == {"llm"}
    assert lives(stack) == there


@pytest.mark.thorough
def test_an_older_release_by_hand_is_its_own_and_the_next_run_is_again_the_one_in_force(
    stack: Stack, tmp_path: Path
) -> None:
    alpha, beta = tiny(tmp_path, "alpha"), tiny(tmp_path, "beta", 1)
    stack.ok("up", *models(alpha))
    first = stack.json("status")["release"]
    stack.ok("up", *models(alpha, beta))
    folder = f"{stack.state}/releases/{first}"
    docker("compose", "--project-directory", folder, "up", "--detach", "--wait", "--remove-orphans")
    assert asked(stack, {"llm"}) == {"llm"}
    assert offered(stack) == ["alpha"]
    stack.ok("up", *models(alpha, beta))
    assert asked(stack, BOTH) == BOTH
    assert offered(stack) == ["alpha", "beta"]
