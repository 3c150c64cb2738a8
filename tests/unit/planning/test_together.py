"""Several models of LM Studio: one server, one port, one service that loads them all."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.document import plan_document
from provisioner.planning.entrance import behind, entrance, models_of
from provisioner.planning.several.merged import apart
from provisioner.rendering import held_by
from provisioner.targets import process, systemd
from tests.unit.planning.samples import PLACE, local, plan

MODELS = ("qwen3-8b", "qwen3-0.6b")
BOTH = Spec(models=MODELS, engine="lmstudio", target="process", precision="q8_0")
MACHINE = "2x RTX 4090, 16 cores, 128 GiB, 2 TiB disk"


def test_they_are_loaded_by_one_service_at_one_port() -> None:
    made = plan(MACHINE, BOTH)
    assert made.verdict == "fits", made.binding
    (service,) = made.services
    assert set(service.model_names) == set(MODELS)
    assert {one.services for one in made.models} == {(service.name,)}
    words = service.argv
    assert [words[at + 1] for at, word in enumerate(words[:-1]) if word in MODELS] == [
        service.model_path, *(one.model_path for one in service.further),
    ]  # fmt: skip
    addresses = {one.choice for one in made.decisions if one.subject.endswith("address")}
    assert addresses == {f"http://127.0.0.1:{service.port}"}


def test_the_weights_of_each_are_brought_into_its_folder() -> None:
    """Files at hand have hashes, and so folders of their own."""
    names = {"qwen3-8b": "Qwen3-8B-Q8_0.gguf", "qwen3-0.6b": "Qwen3-0.6B-Q8_0.gguf"}
    shelf = Shelf(
        (
            local("/m/Qwen3-8B-Q8_0.gguf", 8_700_000_000, "a" * 64, layers=36),
            local("/m/Qwen3-0.6B-Q8_0.gguf", 640_000_000, "b" * 64, layers=28),
        )
    )
    made = plan(MACHINE, BOTH, shelf)
    (service,) = made.services
    held = held_by(made)
    assert tuple(one.id for one in made.models_of(service)) == service.model_names
    assert {folder: [file.name for file in files] for folder, files in held.items()} == {
        folder: [names[name]] for folder, name in zip(service.model_folders, service.model_names, strict=True)
    }
    assert len(held) == 2


def test_the_service_may_take_what_all_of_them_need() -> None:
    (service,) = plan(MACHINE, BOTH).services
    alone = [plan(MACHINE, Spec(model=name, engine="lmstudio", target="process", precision="q8_0")) for name in MODELS]
    limits = [one.services[0].memory_max_bytes or 0 for one in alone]
    assert (service.memory_max_bytes or 0) >= max(limits)
    assert service.ready_seconds > max(one.services[0].ready_seconds for one in alone)
    assert service.env["CUDA_VISIBLE_DEVICES"].split(",") == list(service.devices)


def test_one_model_twice_is_refused() -> None:
    with pytest.raises(BadInput, match="LM Studio has one server"):
        plan(MACHINE, Spec(model="qwen3-0.6b", engine="lmstudio", target="process", settings={"replicas": "2"}))


def test_a_unit_of_systemd_may_write_into_its_home_and_nowhere_else_there() -> None:
    made = plan(MACHINE, Spec(models=MODELS, engine="lmstudio", precision="q8_0"))
    assert made.target == "systemd"
    units = [file.content for file in systemd.TARGET.files(made, PLACE) if file.path.endswith(".service")]
    (text,) = units
    assert "ProtectHome=read-only" in text
    assert "ReadWritePaths=-%h/.lmstudio\n" in text


def test_a_process_is_started_with_all_of_them() -> None:
    script = next(file.content for file in process.TARGET.files(plan(MACHINE, BOTH), PLACE) if file.path == "start.sh")
    assert all(f" {name} " in script for name in MODELS)


def test_that_it_asks_for_no_key_is_said() -> None:
    assert [one.level for one in plan(MACHINE, BOTH).findings if one.id == "keyless"] == ["warning"]


def test_each_is_met_by_its_own_name_at_the_one_address() -> None:
    made = plan(MACHINE, BOTH)
    (service,) = made.services
    met = [(alone.model_name, alone.model_path) for part in apart(made) for alone in part.services]
    assert met == [
        (service.model_name, service.model_path), *((one.model_name, one.model_path) for one in service.further),
    ]  # fmt: skip
    assert [name for name, _ in met] == [one.model.id for one in made.models]
    found = entrance(made)
    assert found is not None
    assert {one.model_name for one in models_of(made)} == set(MODELS)
    here, elsewhere = behind(found, made)
    assert ({one.model_name for one in here}, elsewhere) == (set(MODELS), ())
    told = plan_document(made, ())["models"]
    assert isinstance(told, list)
    assert [one["base_urls"] for one in told if isinstance(one, dict)] == [[found.base_url], [found.base_url]]
