"""The real Ollama in a container as it is rendered: its model is made of weights that lie elsewhere, and nothing is copied."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.engines.ollama import STORE
from provisioner.model.actions import LinkFile
from provisioner.model.containers import Mount
from provisioner.model.facts import Unknown
from provisioner.model.plan import Service, WeightFile
from provisioner.model.plugins import Place
from provisioner.model.progress import Silent
from provisioner.model.record import replace
from provisioner.model.report import Completion
from provisioner.model.spec import Spec
from provisioner.phases.observe import observe_engines
from provisioner.phases.survey import survey
from provisioner.planning.diff import fetches
from provisioner.targets import docker
from provisioner.world.database import locked
from provisioner.world.execute import Executor
from tests.contract import composed
from tests.ports import free_port
from tests.splitting import names
from tests.splitting import tiny as tiny_parts
from tests.unit.planning.samples import plan
from tools import images

pytestmark = [pytest.mark.needs("compose"), pytest.mark.needs("ollama")]

WEIGHTS = "demo-tiny-f16.gguf"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, composed.Running]]:
    """The demo's model, merged of three parts and planned for here; the folder of its state is the test's."""
    folder = tmp_path_factory.mktemp("ollama")
    stack = composed.stack(folder, frozenset(), {}, {})
    (planned,) = plan("4 cores, 16 GiB", Spec(profile="demo", engine="ollama", target="docker")).services
    path = Path(stack.place.state, "models", WEIGHTS)
    path.parent.mkdir(parents=True)
    bring_in_parts(folder, replace(stack.place, state=f"{folder}/store"), path)
    service = moved(planned, path, free_port(), stack.place)
    container = replace(
        docker.container_of(service), mounts=(Mount(str(path.parent), str(path.parent)),), user="1000:1000"
    )
    with composed.running(stack, (container,), (), folder) as running:
        yield service, running


def bring_in_parts(folder: Path, place: Place, path: Path) -> None:
    """The model as `up` brings one that is split: its parts into a store, merged there, and the whole under this name."""
    parts = []
    for name, content in zip(names("tiny", 3), tiny_parts((0, 9)), strict=True):
        (folder / name).write_bytes(content)
        parts.append(WeightFile(name, len(content), None, str(folder / name)))
    whole = WeightFile(path.name, sum(part.size_bytes for part in parts), None, f"merged:{folder}/tiny", tuple(parts))
    with locked(place.state, "test") as store:
        hands = Executor(place, store, Silent())
        for action in fetches((*parts, whole), {}, survey(store, place), place):
            hands.carry_out(action)
        (sha256,) = store.merged().values()
        hands.carry_out(LinkFile(place.blob(sha256), str(path)))


def moved(planned: Service, path: Path, port: int, place: Place) -> Service:
    """The same service with its weights, port and key where the test has them."""
    argv = (*planned.argv[:-1], str(path))
    env = {**planned.env, "OLLAMA_HOST": f"0.0.0.0:{port}"}
    return replace(
        planned, argv=argv, env=env, port=port, image=images.image("ollama"), model_path=str(path),
        key_file=f"{place.state}/secrets/llm.key", ready_seconds=120,
    )  # fmt: skip


def test_it_answers_by_the_planned_name_and_copies_no_weights(served: tuple[Service, composed.Running]) -> None:
    service, running = served
    wait_until_loaded(service, running)
    (seen,) = observe_engines((service,), ())
    assert (seen.health, seen.models, seen.context) == (200, (f"{service.model_name}:latest",), service.context)
    assert isinstance(seen.completion, Completion)
    assert (seen.completion.status, seen.completion.tokens > 0) == (200, True)
    assert int(running.inside("llm", "du", "-sk", STORE).split()[0]) < 64
    links = running.inside("llm", "readlink", "-f", f"{STORE}/blobs/sha256-{service.model_sha256}")
    assert links.strip() == service.model_path


def wait_until_loaded(service: Service, running: composed.Running) -> None:
    import time

    until = time.monotonic() + service.ready_seconds
    while isinstance(observe_engines((service,), ())[0].context, Unknown):
        assert time.monotonic() < until, running.logs("llm")[-3000:]
        time.sleep(0.5)
