"""Docker Engine goes and comes back below a stack that runs: a second one, because the machine's own is everybody's."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import second_docker
from tests.e2e.second_docker import Engine
from tests.e2e.stack import Stack
from tools import images

pytestmark = [pytest.mark.needs("compose", "llamacpp", "gateway", "root"), pytest.mark.timeout(600), pytest.mark.slow]


@dataclass
class Elsewhere(Stack):
    """A stack on an engine of its own."""

    own: Engine | None = None

    def words(self, verb: str, *more: str) -> list[str]:
        assert self.own
        return self.own.within(*super().words(verb, *more))

    def run(self, verb: str, *more: str, **options: Any) -> Any:
        assert self.own
        return super().run(verb, *more, env=self.own.environment, **options)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Elsewhere]:
    used = images.image("llamacpp"), images.image("nginx")
    own = ("--set", f"image={used[0]}", "--set", f"gateway.image={used[1]}")
    planned = ("--profile", "demo", *own, "--no-monitoring", "--set", "openwebui=no")
    with second_docker.running(used) as engine:
        yield Elsewhere(str(tmp_path / "state"), planned=planned, own=engine)


def test_docker_is_stopped_and_comes_back(stack: Elsewhere) -> None:
    assert stack.own
    stack.ok("up", timeout=300)
    stack.own.stop()
    nothing_is_said_or_done(stack)

    stack.own.start(live_restore=True)
    until_well(stack)
    engine = stack.own.run("docker", "inspect", "--format", "{{.State.Pid}}", f"{stack.project}-llm-1").stdout.strip()
    stack.own.stop()
    assert os.path.exists(f"/proc/{engine}"), "with live restore containers run on"
    nothing_is_said_or_done(stack)

    stack.own.start(live_restore=True)
    until_well(stack)
    assert os.path.exists(f"/proc/{engine}")
    assert stack.json("up", timeout=300)["changed"] is False
    stack.ok("down", "--purge")
    assert not stack.own.run("docker", "ps", "-aq").stdout


def nothing_is_said_or_done(stack: Elsewhere) -> None:
    """While Docker is silent nobody knows whether its containers run."""
    before = stack.snapshot()
    status = stack.json("status", code=1)
    assert (status["healthy"], [one["id"] for one in status["findings"]]) == (False, ["docker-answers"])
    told = {one["id"] for one in stack.json("check", code=1)["findings"]}
    assert "docker-answers" in told
    assert not told & {"process-alive", "containers-run"}
    for verb in (("up",), ("down",), ("down", "--purge")):
        refused = stack.run(*verb)
        assert (refused.returncode, "Docker" in refused.stderr) == (3, True), refused.stderr
    assert stack.snapshot() == before


def until_well(stack: Elsewhere) -> None:
    deadline = time.monotonic() + 60
    while stack.run("check").returncode:
        assert time.monotonic() < deadline, stack.run("check").stdout
    status = stack.json("status")
    assert {one["state"] for one in (*status["services"], *status["beside"])} == {"running"}
