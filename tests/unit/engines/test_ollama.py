"""Ollama in a container: the model is made of the weights where they lie, and nobody's key is asked for."""

import pytest

from provisioner.catalog import find
from provisioner.engines.ollama import ENGINE, STORE
from provisioner.model.facts import Unknown
from provisioner.model.plan import Plan, WeightFile
from provisioner.model.plugins import Check, View
from provisioner.model.record import replace
from provisioner.model.report import Observed, ServiceObserved
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf, key_of_parts
from tests.unit.planning.samples import GIB, PLACE, local, machine, plan

HASH = "4f" * 32
FILE = Spec(model="/data/mine.gguf", engine="ollama")


def made(**options: str) -> Plan:
    shelf = Shelf(local=(local("/data/mine.gguf", sha256=HASH),))
    found = plan(
        "16 cores, 64 GiB", replace(FILE, settings={f"engine.{key}": value for key, value in options.items()}), shelf
    )
    assert found.verdict == "fits", found.binding
    return found


def test_it_is_told_the_weights_by_their_hash_and_path() -> None:
    (service,) = made().services
    assert service.argv[-3:] == (service.model_name, HASH, service.model_path)
    assert service.health_path == f"/v1/models/{service.model_name}", "it listens before it has its model"
    assert service.env["OLLAMA_MODELS"] == STORE
    assert service.env["OLLAMA_HOST"] == "0.0.0.0:8000"
    assert (service.host, service.image) == ("127.0.0.1", "ollama/ollama:0.33.2")


def test_a_smaller_cache_brings_flash_attention() -> None:
    assert made(**{"cache-type-k": "q8_0"}).services[0].env["OLLAMA_FLASH_ATTENTION"] == "1"
    assert "OLLAMA_FLASH_ATTENTION" not in made().services[0].env


PARTS = tuple(f"/data/mine-{part:05}-of-00003.gguf" for part in (1, 2, 3))
HASHES = tuple(str(part) * 64 for part in (1, 2, 3))


def in_parts(hashes: tuple[str | None, ...]) -> Shelf:
    named = zip(PARTS, hashes, strict=True)
    return Shelf(local=tuple(local(name, GIB, sha256, shard=at, shards=3) for at, (name, sha256) in enumerate(named)))


def of_parts(shelf: Shelf, engine: str = "ollama") -> Plan:
    found = plan("16 cores, 64 GiB", replace(FILE, model=PARTS[0], engine=engine), shelf)
    assert found.verdict == "fits", found.binding
    return found


@pytest.mark.parametrize("hashes", [(None, None, None), HASHES])
def test_a_model_in_parts_is_merged_for_it_alone(hashes: tuple[str | None, ...]) -> None:
    found = of_parts(in_parts(hashes))
    assert found.model is not None
    (whole,) = found.model.files
    assert (whole.name, whole.size_bytes, whole.sha256) == ("mine.gguf", 3 * GIB, None)
    assert [part.origin for part in whole.parts] == list(PARTS)
    assert found.weights == (*whole.parts, whole)
    because = next(one.because for one in found.decisions if one.subject == "weights")
    assert because == "files of this machine; merged, because Ollama loads a GGUF of one file"
    as_they_are = of_parts(in_parts(hashes), "llamacpp")
    assert as_they_are.model is not None
    assert {found.services[0].model_name, as_they_are.services[0].model_name} == {"mine"}
    assert [file.name for file in as_they_are.model.files] == [name.rpartition("/")[2] for name in PARTS]
    assert found.memory is not None
    assert as_they_are.memory is not None
    assert found.memory.disk_bytes - as_they_are.memory.disk_bytes == 3 * GIB, "parts and whole"


def test_what_was_merged_before_is_served_without_its_parts() -> None:
    stored = {HASH: f"{PLACE.state}/blobs/sha256/{HASH}"}
    found = of_parts(replace(in_parts(HASHES), merged={key_of_parts(HASHES): HASH}, stored=stored))
    (service,) = found.services
    assert service.argv[-3:] == (service.model_name, HASH, f"{PLACE.state}/models/{HASH[:16]}/mine.gguf")
    (whole,) = found.weights
    assert whole == WeightFile("mine.gguf", 3 * GIB, HASH, f"{PLACE.state}/blobs/sha256/{HASH}")


def test_a_part_that_stands_in_anothers_place_is_refused() -> None:
    files = tuple(local(name, GIB, shard=at, shards=3) for name, at in zip(PARTS, (0, 2, 1), strict=True))
    for engine in ("ollama", "llamacpp"):
        found = plan("16 cores, 64 GiB", replace(FILE, model=PARTS[0], engine=engine), Shelf(local=files))
        assert found.verdict == "refused"
        assert "mine-00002-of-00003.gguf cannot be used: its header says that it is part 3 of 3" in found.binding


def test_its_name_and_its_missing_key_are_no_faults() -> None:
    assert ENGINE.keyless
    found = made()
    (service,) = found.services
    seen = ServiceObserved(
        service.name, 7, "S", 200, (f"{service.model_name}:latest",), service.context, Unknown("not asked"), 200, 200
    )
    view = View(found, machine("16 cores, 64 GiB"), Observed((seen,)), {}, "/state")
    for name in ("model_listed", "key_required", "wrong_key_refused"):
        check = find("provisioner.checks", "CHECK", name)
        assert isinstance(check, Check)
        assert list(check.run(view)) == []
    other = replace(seen, models=("another:latest",))
    listed = find("provisioner.checks", "CHECK", "model_listed")
    assert isinstance(listed, Check)
    assert list(listed.run(replace(view, observed=Observed((other,)))))


@pytest.mark.parametrize(
    ("loaded", "share"),
    [
        ({"models": [{"size": 3621376, "size_vram": 0}]}, 0.0),
        ({"models": [{"size": 4000, "size_vram": 4000}]}, 1.0),
        ({"models": [{"size": 4000, "size_vram": 1000}]}, 0.25),
        ({"models": []}, None),
        ({"models": [{"size": 0, "size_vram": 0}]}, None),
        ({"models": [{"size": "much"}]}, None),
        (Unknown("no answer"), None),
    ],
)
def test_how_much_is_on_devices(loaded: object, share: float | None) -> None:
    assert ENGINE.on_devices is not None
    assert ENGINE.on_devices(loaded) == share


@pytest.mark.parametrize(
    ("hardware", "share", "level"),
    [
        ("1x RTX 4090, 64 GiB", 0.0, "error"),
        ("1x RTX 4090, 64 GiB", 0.5, "warning"),
        ("1x RTX 4090, 64 GiB", 0.97, ""),
        ("1x RTX 4090, 64 GiB", None, ""),
        ("16 cores, 64 GiB", 0.0, ""),
    ],
)
def test_what_fell_back_to_processors_is_told(hardware: str, share: float | None, level: str) -> None:
    found = plan(hardware, Spec(model="qwen3-8b", engine="ollama", precision="q4_k_m"))
    assert found.verdict == "fits", found.binding
    (service,) = found.services
    seen = ServiceObserved(service.name, 7, "S", 200, (), 1, Unknown("-"), 200, 200, on_devices=share)
    check = find("provisioner.checks", "CHECK", "on_devices")
    assert isinstance(check, Check)
    told = list(check.run(View(found, machine(hardware), Observed((seen,)), {}, "/state")))
    assert [one.level for one in told] == ([level] if level else [])
