"""Why a container ended, as the real engine tells it."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioner.world import containers
from tests.e2e.stack import docker
from tools import images

pytestmark = [pytest.mark.needs("docker", "llamacpp"), pytest.mark.slow]

GREEDY = ("sh", "-c", "all=$(yes | head -c 200000000)")

Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A container of a state that is this folder, by the name of its service."""
    made: list[str] = []

    def begin(service: str, *words: str) -> str:
        labels = (f"provision.state={tmp_path.resolve()}", f"com.docker.compose.service={service}")
        program, *arguments = words
        made.append(
            docker(
                "run", "-d", *(f"--label={one}" for one in labels), "--memory=32m", "--memory-swap=32m",
                f"--entrypoint={program}", images.image("llamacpp"), *arguments,
            ).strip()
        )  # fmt: skip
        return made[-1]

    yield begin
    docker("rm", "-f", *made)


def ended(container: str) -> int:
    deadline = time.monotonic() + 60
    while (state := json.loads(docker("inspect", container))[0]["State"])["Status"] == "running":
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    return containers._seconds(state["FinishedAt"])


def test_memory_that_ran_out_is_told_from_a_kill_even_where_the_engine_forgot_to_note_it(
    start: Start, tmp_path: Path
) -> None:
    greedy, killed = start("greedy", *GREEDY), start("killed", "sleep", "600")
    docker("kill", killed)
    ends = {container: ended(container) for container in (greedy, killed)}
    assert containers._chosen_by_the_kernel(greedy, ends[greedy])
    assert not containers._chosen_by_the_kernel(killed, ends[killed])
    assert not containers._chosen_by_the_kernel(greedy, ends[greedy] - 3600), "it ended long before its memory ran out"
    told = {one.service: one.state for one in containers.running(str(tmp_path))}
    assert told == {"greedy": "exited: out of memory", "killed": "exited with code 137"}
