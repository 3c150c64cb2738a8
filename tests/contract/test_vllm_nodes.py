"""Two nodes of a real vLLM: the flags that a plan gives to each of its two services, started beside each other on loopback."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioner.engines.vllm import ENGINE
from provisioner.model.causes import cause_of
from provisioner.model.plan import Service
from provisioner.model.record import replace
from provisioner.model.report import Completion
from provisioner.model.spec import Spec
from provisioner.phases.observe import observe_engines
from tests.bed.engine import Engine
from tests.contract.test_vllm_serves import KEY, service, wait_for
from tests.unit.planning.samples import plan
from tools.engines import vllm_environment

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.slow]

OF_NODES = ("nnodes", "node-rank", "master-addr", "master-port", "headless")


def planned() -> tuple[Service, ...]:
    """A copy over two machines, as it is planned for cards."""
    made = plan("8x H100 SXM, 2 TiB, 2 nodes", Spec(profile="flagship", engine="vllm", target="docker"))
    assert [one.node for one in made.services] == [0, 1]
    return made.services


def test_each_node_is_told_its_own_place() -> None:
    told = [{flag: one.options.get(flag) for flag in OF_NODES} for one in planned()]
    assert [(one["nnodes"], one["node-rank"], one["headless"]) for one in told] == [
        ("2", "0", None),
        ("2", "1", "true"),
    ]
    assert len({(one["master-addr"], one["master-port"]) for one in told}) == 1


@dataclass(frozen=True)
class Way:
    """How the tiny model is cut in two. Its graphs are made where there are stages: without, vLLM's processors make no room
    for what a later stage is handed, and it ends at the first question (`stage-not-warmed`)."""

    model: str
    degree: str
    eager: str = "true"


WAYS = (
    Way("gqa", "tensor-parallel-size"),
    Way("gqa", "pipeline-parallel-size", eager="false"),
    Way("gqa", "data-parallel-size"),
)


@pytest.mark.thorough
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.degree)
def test_two_nodes_answer_together(engine: Engine, tmp_path: Path, way: Way) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two ranks need as many cores")
    first = service(engine.model(way.model), 1, tmp_path / "llm.key")
    parts = [part(first, one, way) for one in planned()]
    with running(parts[1], 1, tmp_path / "node1.log"), running(parts[0], 0, tmp_path / "node0.log") as server:
        wait_for(parts[0], server, tmp_path / "node0.log")
        (seen,) = observe_engines((parts[0],), ())
        (again,) = observe_engines((parts[0],), ())
    assert (seen.health, seen.models) == (200, ("tiny",))
    for one in (seen.completion, again.completion):
        assert isinstance(one, Completion)
        assert (one.status, one.error, one.tokens > 0, one.text != "") == (200, "", True, True), logs(tmp_path)


@pytest.mark.thorough
def test_a_stage_that_was_not_warmed_is_told_with_its_cause(engine: Engine, tmp_path: Path) -> None:
    """It says that it is healthy, and takes the first question to its grave."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two ranks need as many cores")
    first = service(engine.model("gqa"), 1, tmp_path / "llm.key")
    parts = [part(first, one, Way("gqa", "pipeline-parallel-size")) for one in planned()]
    with running(parts[1], 1, tmp_path / "node1.log"), running(parts[0], 0, tmp_path / "node0.log") as server:
        wait_for(parts[0], server, tmp_path / "node0.log")
        (seen,) = observe_engines((parts[0],), ())
    answered = isinstance(seen.completion, Completion) and seen.completion.tokens > 0
    assert not answered, "vLLM has mended it: graphs are no longer needed"
    found = cause_of(ENGINE.causes(), (tmp_path / "node1.log").read_text().splitlines())
    assert found is not None
    assert found.id == "stage-not-warmed"


def logs(folder: Path) -> str:
    return "\n".join((folder / f"node{rank}.log").read_text()[-2000:] for rank in (0, 1))


def part(first: Service, of_plan: Service, way: Way) -> Service:
    """The tiny model cut in two, with what this node is told of the others; they meet on this machine."""
    of_nodes = {flag: of_plan.options[flag] for flag in OF_NODES if flag in of_plan.options}
    meets = {"master-addr": "127.0.0.1", "master-port": str(first.port + 1)}
    cut = {"tensor-parallel-size": "1", way.degree: "2", "enforce-eager": way.eager}
    return replace(first, options={**first.options, **of_nodes, **cut, **meets})


@contextmanager
def running(part: Service, rank: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """All of its processes end with it: a worker outlives its parent otherwise."""
    environment = {
        **os.environ, **ENGINE.environment(part), "VLLM_API_KEY": KEY, "GLOO_SOCKET_IFNAME": "lo",
        "VLLM_CPU_OMP_THREADS_BIND": str(sorted(os.sched_getaffinity(0))[rank]), "VLLM_HOST_IP": "127.0.0.1",
    }  # fmt: skip
    argv = [f"{vllm_environment()}/bin/vllm", "serve", *ENGINE.command(part)]
    with log.open("w") as output:
        node = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield node
        finally:
            os.killpg(node.pid, signal.SIGKILL)
            node.wait()
