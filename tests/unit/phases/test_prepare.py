"""Before weights are taken in one by one: those that are only linked are hashed together."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from provisioner.errors import BadInput
from provisioner.model.actions import TakeFile
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.progress import Silent
from provisioner.model.spec import Spec
from provisioner.phases.bring import bring_weights, hash_together
from provisioner.phases.prepare import look
from provisioner.phases.run import Run
from provisioner.phases.survey import half_made_bytes
from provisioner.world.bring import bring
from provisioner.world.database import locked
from provisioner.world.execute import Executor
from provisioner.world.store import Store

PARTS = {f"m-0000{number}-of-00003.gguf": hashlib.shake_256(b"%d" % number).digest(5000) for number in (1, 2, 3)}


class Watch(Silent):
    def __init__(self) -> None:
        self.told: list[str] = []
        self.moved: list[tuple[int, int]] = []

    def step(self, title: str) -> None:
        self.told.append(title)

    def done(self, result: str) -> None:
        self.told.append(result)

    def bytes(self, done: int, total: int) -> None:
        self.moved.append((done, total))


@pytest.fixture
def place(tmp_path: object) -> Place:
    return Place(f"{tmp_path}/state", "python", "", user_manager=False)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with locked(place.state, "test") as store:
        yield store


@pytest.fixture
def fetches(tmp_path: object, place: Place) -> tuple[TakeFile, ...]:
    for name, content in PARTS.items():
        with open(f"{tmp_path}/{name}", "wb") as file:
            file.write(content)
    files = (WeightFile(name, len(content), None, f"{tmp_path}/{name}") for name, content in PARTS.items())
    return tuple(TakeFile(file, place.blob("?")) for file in files)


def test_no_byte_is_read_again_when_they_are_taken_in(
    fetches: tuple[TakeFile, ...], store: Store, place: Place
) -> None:
    watch, again = Watch(), Watch()
    hash_together(fetches, store, place, watch)
    assert watch.told == ["sha256sum of 3 files of weights", "done"]
    assert watch.moved[-1] == (15000, 15000)
    for action in fetches:
        bring(action, place, store, again.bytes)
    assert again.moved == []
    assert sorted(os.listdir(os.path.dirname(place.blob("")))) == sorted(
        hashlib.sha256(content).hexdigest() for content in PARTS.values()
    )


def test_one_file_alone_is_hashed_when_it_is_taken_in(
    fetches: tuple[TakeFile, ...], store: Store, place: Place
) -> None:
    watch = Watch()
    hash_together(fetches[:1], store, place, watch)
    bring(fetches[1], place, store, watch.bytes)
    watch.moved.clear()
    hash_together(fetches[:2], store, place, watch)
    assert (watch.told, watch.moved) == ([], [])


def test_what_is_damaged_is_said_by_the_one_who_takes_it_in(
    fetches: tuple[TakeFile, ...], store: Store, place: Place
) -> None:
    os.unlink(fetches[1].file.origin)
    watch = Watch()
    hash_together(fetches, store, place, watch)
    assert watch.told[-1] == "done"
    with pytest.raises(BadInput, match="No such file"):
        bring(fetches[1], place, store, watch.bytes)


def test_what_a_killed_run_left_half_made_goes_before_anything_is_fetched(store: Store, place: Place) -> None:
    half = place.blob("merge-1-2.tmp")
    os.makedirs(os.path.dirname(half))
    with open(half, "wb") as file:
        file.write(bytes(1 << 20))
    spec = Spec(profile="demo", target="process", settings={"placement": "host"})
    run = Run("up", None, store, Executor(place, store, Silent()), Silent())
    before = look(spec, store, place)
    assert half_made_bytes(before.standing, before.plan) == 1 << 20
    ground, _ = bring_weights(run, spec, before, store, place)
    assert [step.action.split()[:2] for step in run.steps] == [["rm", "-rf"], ["python", "-m"]]
    assert os.listdir(os.path.dirname(half)) == [file.sha256 for file in ground.plan.weights]
