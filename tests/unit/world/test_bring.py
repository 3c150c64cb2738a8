"""Weights on their way into the store: made, taken, or asked for and downloaded."""

import hashlib
import os
from collections.abc import Iterator

import pytest

from provisioner.errors import RunFailed
from provisioner.model.actions import Download, MakeModel, TakeFile
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.spec import Spec
from provisioner.weights.hubs import url_of
from provisioner.world import tinymodel
from provisioner.world.bring import bring, name_offers
from provisioner.world.database import locked
from provisioner.world.download import Journal, Offer
from provisioner.world.store import Store
from tests.hub import Hub, serving

CONTENT = hashlib.shake_256(b"some").digest(100_000)
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def place(tmp_path: object) -> Place:
    return Place(f"{tmp_path}/state", "python", "", user_manager=False)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with locked(place.state, "test") as store:
        yield store


def quiet(_done: int, _total: int) -> None:
    return


def blobs(place: Place) -> list[str]:
    return sorted(os.listdir(os.path.dirname(place.blob(""))))


def test_the_tiny_model_is_made(place: Place, store: Store) -> None:
    file = WeightFile("tiny.gguf", 1, tinymodel.sha256(), "made")
    for _ in range(2):
        bring(MakeModel(file, place.blob(tinymodel.sha256())), place, store, quiet)
        assert blobs(place) == [tinymodel.sha256()]


def test_a_catalog_that_promises_another_hash(place: Place, store: Store) -> None:
    file = WeightFile("tiny.gguf", 1, "0" * 64, "made")
    with pytest.raises(RunFailed, match="the catalog says"):
        bring(MakeModel(file, place.blob("0" * 64)), place, store, quiet)
    assert blobs(place) == []


def test_a_local_file_is_taken_and_known_afterwards(place: Place, store: Store, tmp_path: object) -> None:
    path = f"{tmp_path}/m.gguf"
    with open(path, "wb") as file:
        file.write(CONTENT)
    bring(TakeFile(WeightFile("m.gguf", len(CONTENT), None, path), place.blob("unknown")), place, store, quiet)
    assert blobs(place) == [HASH]
    for known in (path, place.blob(HASH)):
        status = os.stat(known)
        assert store.known_hash(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns) == HASH


def offered(store: Store) -> list[WeightFile]:
    return [WeightFile(origin.rsplit("/", 1)[-1], size, sha256, origin)
            for origin, (size, sha256) in store.offers().items()]  # fmt: skip


def test_a_mirror_is_asked_and_gives_all_parts(place: Place, store: Store) -> None:
    names = [f"acme/big-GGUF/Q4/big-Q4-0000{number}-of-00002.gguf" for number in (1, 2)]
    wanted = (WeightFile("big-Q4.gguf", 5, None, "hub:huggingface/acme/big-GGUF/big-Q4.gguf"),)
    with serving(Hub({names[0]: CONTENT, names[1]: CONTENT[1:], "acme/big-GGUF/other.gguf": b"x"})) as hub:
        name_offers(wanted, Spec(source=hub.url), store)
        files = offered(store)
        assert {file.name for file in files} == {name.rsplit("/", 1)[-1] for name in names}
        for file in files:
            bring(Download(file, url_of(file.origin), place.blob(file.sha256 or "")), place, store, quiet)
    assert blobs(place) == sorted(hub.sha256(name) for name in names)


def test_a_small_file_without_a_sha256_is_held_against_gits_hash(place: Place, store: Store) -> None:
    hub = Hub({"acme/m/config.json": b"{}", "acme/m/tokenizer.json": CONTENT}, plain=("config.json",))
    wanted = (WeightFile("config.json", 2, None, "hub:huggingface/acme/m/config.json"),)
    with serving(hub):
        name_offers(wanted, Spec(source=hub.url), store)
        (file,) = offered(store)
        assert (file.name, file.sha256) == ("config.json", hub.sha256("acme/m/config.json"))
        bring(Download(file, url_of(file.origin), place.blob(file.sha256 or "")), place, store, quiet)
    assert blobs(place) == [hub.sha256("acme/m/config.json")]


def test_a_small_file_that_is_not_what_git_says_is_refused(store: Store) -> None:
    hub = Hub({"acme/m/config.json": b"{}"}, plain=("config.json",))
    hub.faults.wrong_bytes = True
    wanted = (WeightFile("config.json", 2, None, "hub:huggingface/acme/m/config.json"),)
    with serving(hub), pytest.raises(RunFailed, match=r"names no hash for `config\.json`"):
        name_offers(wanted, Spec(source=hub.url), store)
    assert store.offers() == {}


def test_a_hub_that_lacks_the_file(store: Store) -> None:
    wanted = (WeightFile("gone.gguf", 5, None, "hub:huggingface/acme/big-GGUF/gone.gguf"),)
    with (
        serving(Hub({"acme/big-GGUF/other.gguf": b"x"})) as hub,
        pytest.raises(RunFailed, match=r"has no file `gone\.gguf`") as caught,
    ):
        name_offers(wanted, Spec(source=hub.url), store)
    assert "--weights" in caught.value.fix


def test_a_file_whose_hash_is_known_asks_nobody(store: Store) -> None:
    name_offers((WeightFile("a.gguf", 5, HASH, "hub:huggingface/acme/a/a.gguf"),), Spec(), store)
    name_offers((WeightFile("a.gguf", 5, None, "/a/path.gguf"),), Spec(), store)
    assert store.offers() == {}


def test_killed_between_the_name_and_the_notes_nothing_is_fetched_and_the_notes_go(place: Place, store: Store) -> None:
    blob = place.blob(HASH)
    os.makedirs(os.path.dirname(blob))
    with Journal(f"{blob}.part", Offer(len(CONTENT), "", ranges=True), 1000) as journal:
        os.pwrite(journal.part, CONTENT, 0)
        os.replace(journal.part_path, blob)
    assert len(blobs(place)) == 2
    nobody = "http://127.0.0.1:9/a.gguf"
    bring(Download(WeightFile("a.gguf", len(CONTENT), HASH, nobody), nobody, blob), place, store, quiet)
    assert blobs(place) == [HASH]
