"""vLLM's real server, started as a plan would have it: it answers, and its own figures are those that were planned."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioner.engines.vllm import ENGINE
from provisioner.model.facts import Unknown
from provisioner.model.load import Card, Degrees, Load
from provisioner.model.plan import Service
from provisioner.model.report import Completion
from provisioner.phases.observe import observe_engines
from provisioner.planning.memory import pool
from provisioner.weights.hfconfig import geometry_of_config
from provisioner.world import probe
from tests.bed.engine import Engine
from tests.unit.planning.samples import CATALOG
from tools.engines import vllm_environment

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.slow]

POOL = 64 << 20
KEY = "a-key-of-the-tests"
SECONDS = 240
CARD = Card("cpu", "the processor", 64 << 30, 64 << 30, "none")


def service(folder: Path, tensor: int, key_file: Path) -> Service:
    key_file.write_text(f"{KEY}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return Service(
        name="llm", engine="vllm", argv=(), env={}, host="127.0.0.1", port=port, model_name="tiny", model_path=str(folder),
        context=1024, slots=4, cpus=None, numa_nodes=None, memory_max_bytes=None, key_file=str(key_file), health_path="/health",
        ready_seconds=SECONDS, first_token_seconds=30,
        options={"tensor-parallel-size": str(tensor), "kv-cache-memory-bytes": str(POOL), "enforce-eager": "true"},
    )  # fmt: skip


@contextmanager
def serving(planned: Service, log: Path) -> Iterator[None]:
    """All of its processes end with it: a rank outlives its parent otherwise."""
    ranks = int(planned.options["tensor-parallel-size"])
    environment = {
        **os.environ, **ENGINE.environment(planned), "VLLM_API_KEY": KEY,
        "VLLM_CPU_OMP_THREADS_BIND": "|".join(str(core) for core in sorted(os.sched_getaffinity(0))[:ranks]),
    }  # fmt: skip
    argv = [f"{vllm_environment()}/bin/vllm", "serve", *ENGINE.command(planned)]
    with log.open("w") as output:
        server = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            wait_for(planned, server, log)
            yield
        finally:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_for(planned: Service, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while isinstance(probe.get(planned, planned.health_path, None, 5), Unknown):
        assert server.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.5)


@pytest.mark.parametrize(("name", "tensor"), [("moe", 1), ("one-kv-head", 2)])
def test_it_serves_as_planned(engine: Engine, tmp_path: Path, name: str, tensor: int) -> None:
    if tensor > len(os.sched_getaffinity(0)):
        pytest.skip(f"{tensor} ranks need as many cores")
    folder = engine.model(name)
    planned = service(folder, tensor, tmp_path / "llm.key")
    log = tmp_path / "vllm.log"
    with serving(planned, log):
        (seen,) = observe_engines((planned,), ())
        metrics = probe.get(planned, "/metrics", None, 30)
    assert (seen.health, seen.models, seen.context) == (200, ("tiny",), planned.context)
    assert isinstance(seen.completion, Completion)
    assert (seen.completion.status, seen.completion.tokens > 0) == (200, True)
    assert (seen.status_without_key, seen.status_with_wrong_key) == (401, 401)
    assert not isinstance(metrics, Unknown)
    agrees(folder, tensor, log.read_text(), metrics.body.decode())


def agrees(folder: Path, tensor: int, log: str, metrics: str) -> None:
    """The log and the metrics tell the same, and that is what the planner says of one rank."""
    assert ENGINE.read_back is not None
    geometry = geometry_of_config(json.loads((folder / "config.json").read_text()))
    told = ENGINE.read_back(log, metrics)
    assert told.block is not None
    load = Load(
        geometry, "bf16", Degrees(tensor=tensor), CARD, 0, 0, 1024, 4, 2048, "0.32.0",
        constants=CATALOG.engine("vllm").constants,
    )  # fmt: skip
    expected = pool.tokens_of(load, POOL, block=told.block)
    assert told.kv_tokens == expected
    assert ENGINE.read_back(log, "").kv_tokens == expected
    assert {device.kv_bytes for device in told.devices} == {POOL}
