"""The simulated world is held to the real one: the same effects, one after the other, and both look the same after each.

`RunTool` is not among them: it needs a real systemd, with which `tests/e2e/test_systemd.py` tests what the units do.
`Download` needs a hub: `tests/e2e/test_weights.py`.
"""

import hashlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import UserError
from provisioner.model.actions import (
    Action,
    Activate,
    LinkFile,
    MakeKey,
    MakeModel,
    MergeParts,
    RemoveFile,
    RemoveTree,
    StartProcess,
    StopProcess,
    TakeFile,
    WriteFile,
    WriteRelease,
)
from provisioner.model.plan import Parallel, Plan, Service, WeightFile
from provisioner.model.plugins import Place
from provisioner.model.progress import Silent
from provisioner.model.release import Release, Standing
from provisioner.phases.survey import survey
from provisioner.rendering import render
from provisioner.targets import process
from provisioner.world import processes, tinymodel
from provisioner.world.database import locked
from provisioner.world.execute import Executor
from provisioner.world.store import Store
from tests.simulation.world import SimulatedWorld
from tests.splitting import names
from tests.splitting import tiny as tiny_parts

pytestmark = [pytest.mark.needs("embedded")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    state = str(tmp_path / "state")
    yield Place(state=state, python=sys.executable, unit_folder=str(tmp_path / "units"), user_manager=True)
    for one in processes.running(state):
        processes.stop(one.pid, one.started)


def service(place: Place, port: int) -> Service:
    return Service(
        name="llm", engine="llamacpp", argv=("/bin/sleep", "600"), env={}, host="127.0.0.1", port=port,
        model_name="m", model_path=f"{place.state}/models/abc/m.gguf", context=512, slots=1, cpus=None, numa_nodes=None,
        memory_max_bytes=None, key_file=f"{place.state}/secrets/llm.key", health_path="/health", ready_seconds=5,
        first_token_seconds=5,
    )  # fmt: skip


def release(place: Place, port: int) -> Release:
    """A release of one service, as the process target renders it."""
    plan = Plan(
        verdict="fits", profile="demo", hostname="h", model=None, engine="llamacpp", target="process",
        parallel=Parallel(), context=512, memory=None, capacity=None, services=(service(place, port),), decisions=(),
        binding="", cheapest_changes=(), findings=(),
    )  # fmt: skip
    return render(plan, process.TARGET, place)


def looks(standing: Standing) -> dict[str, object]:
    """What both must agree on: numbers of processes differ, of course."""
    return {
        "current": standing.current.digest if standing.current else None,
        "running": [(one.service, one.digest, one.target) for one in standing.running],
        "blobs": standing.blobs,
        "keys": standing.keys,
        "folders": standing.folders,
        "links": standing.links,
        "units": standing.units,
        "leftovers": standing.leftovers,
        "trees": standing.trees,
        "enabled": standing.enabled,
    }


def in_parts(folder: Path) -> WeightFile:
    """The tiny model divided in two, and what is merged of it."""
    parts = []
    for name, content in zip(names("tiny", 2), tiny_parts((9,)), strict=True):
        (folder / name).write_bytes(content)
        parts.append(WeightFile(name, len(content), hashlib.sha256(content).hexdigest(), str(folder / name)))
    size = sum(part.size_bytes for part in parts)
    return WeightFile("tiny.gguf", size, tinymodel.sha256(), f"merged:{folder}/tiny.gguf", tuple(parts))


def script(place: Place, tiny: WeightFile, own: WeightFile, whole: WeightFile) -> list[Action | str]:
    """Effects in an order that a run may bring; `stop` stands for stopping whatever runs then."""
    first, second = release(place, 1111), release(place, 2222)
    assert tiny.sha256 is not None
    assert own.sha256 is not None
    blob = place.blob(tiny.sha256)
    return [
        MakeKey(f"{place.state}/secrets/llm.key"),
        MakeKey(f"{place.state}/secrets/llm.key"),
        *(TakeFile(part, place.blob(part.sha256 or "")) for part in whole.parts),
        MergeParts(whole, blob),
        MergeParts(whole, blob),
        MakeModel(tiny, blob),
        TakeFile(own, place.blob(own.sha256)),
        TakeFile(own, place.blob(own.sha256)),
        LinkFile(place.blob(own.sha256), f"{place.state}/models/{own.sha256[:16]}/{own.name}"),
        LinkFile(blob, f"{place.state}/models/{tiny.sha256[:16]}/{tiny.name}"),
        LinkFile(blob, f"{place.state}/models/{tiny.sha256[:16]}/{tiny.name}"),
        WriteRelease(first, place.release(first.digest)),
        StartProcess("llm", first.digest, f"{place.release(first.digest)}/units/llm.json"),
        Activate(first.digest),
        WriteRelease(second, place.release(second.digest)),
        "stop",
        StartProcess("llm", second.digest, f"{place.release(second.digest)}/units/llm.json"),
        Activate(second.digest),
        RemoveTree(place.release(first.digest)),
        WriteFile(f"{place.unit_folder}/provision-llm.service", place.mark),
        WriteFile(f"{place.unit_folder}/provision-other.service", place.mark),
        RemoveFile(f"{place.unit_folder}/provision-llm.service"),
        RemoveFile(f"{place.unit_folder}/provision-llm.service"),
        "stop",
        Activate(None),
        *(RemoveTree(f"{place.state}/{name}") for name in ("releases", "secrets", "logs", "models", "blobs")),
    ]


def settled(store: Store, place: Place, wanted: int) -> Standing:
    """A keeper is found once its program runs, an instant after it was started."""
    deadline = time.monotonic() + 10
    standing = survey(store, place)
    while len(standing.running) != wanted and time.monotonic() < deadline:
        time.sleep(0.01)
        standing = survey(store, place)
    return standing


def test_after_every_effect_both_worlds_look_the_same(place: Place, tmp_path: Path) -> None:
    tiny = WeightFile("tiny.gguf", 1, tinymodel.sha256(), "made")
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(b"weights")
    own = WeightFile(mine.name, 7, hashlib.sha256(b"weights").hexdigest(), str(mine))
    simulated = SimulatedWorld(place)
    with locked(place.state, "test") as store:
        real = Executor(place, store, Silent())
        assert looks(survey(store, place)) == looks(simulated.survey())
        for step in script(place, tiny, own, in_parts(tmp_path)):
            if step == "stop":
                for world, standing in ((real, survey(store, place)), (simulated, simulated.survey())):
                    for one in standing.running:
                        world.carry_out(StopProcess(one.service, one.digest, one.pid, one.started))
            else:
                assert not isinstance(step, str)
                real.carry_out(step)
                simulated.carry_out(step)
            expected = simulated.survey()
            assert looks(settled(store, place, len(expected.running))) == looks(expected), str(step)


def test_what_the_real_world_refuses_the_simulated_one_refuses(place: Place, tmp_path: Path) -> None:
    gone = release(place, 3333)
    start = StartProcess("llm", gone.digest, f"{place.release(gone.digest)}/units/llm.json")
    link = LinkFile(place.blob("0" * 64), f"{place.state}/models/x/y")
    merge = MergeParts(in_parts(tmp_path), place.blob(tinymodel.sha256()))
    simulated = SimulatedWorld(place)
    with locked(place.state, "test") as store:
        real = Executor(place, store, Silent())
        for action in (link, merge):
            with pytest.raises(UserError):
                real.carry_out(action)
            with pytest.raises(FileNotFoundError):
                simulated.carry_out(action)
        real.carry_out(start)
        simulated.carry_out(start)
        time.sleep(0.5)
        assert survey(store, place).running == simulated.survey().running == ()
