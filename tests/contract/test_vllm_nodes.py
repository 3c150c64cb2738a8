"""Two nodes of a real vLLM: the flags that a plan gives to each of its two services, started beside each other on loopback."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioner.engines.vllm import ENGINE
from provisioner.model.plan import Completion, Service
from provisioner.model.record import replace
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


@pytest.mark.thorough
def test_two_nodes_answer_together(engine: Engine, tmp_path: Path) -> None:
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two ranks need as many cores")
    first = service(engine.model("gqa"), 1, tmp_path / "llm.key")
    parts = [part(first, one) for one in planned()]
    with running(parts[1], 1, tmp_path / "node1.log"), running(parts[0], 0, tmp_path / "node0.log") as server:
        wait_for(parts[0], server, tmp_path / "node0.log")
        (seen,) = observe_engines((parts[0],), ())
    assert (seen.health, seen.models) == (200, ("tiny",))
    assert isinstance(seen.completion, Completion)
    assert (seen.completion.status, seen.completion.tokens > 0) == (200, True)


def part(first: Service, of_plan: Service) -> Service:
    """The tiny model cut in two, with what this node is told of the others; they meet on this machine."""
    of_nodes = {flag: of_plan.options[flag] for flag in OF_NODES if flag in of_plan.options}
    meets = {"master-addr": "127.0.0.1", "master-port": str(first.port + 1)}
    return replace(first, options={**first.options, **of_nodes, "tensor-parallel-size": "2", **meets})


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
