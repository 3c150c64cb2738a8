"""Checkpoints on the shelf as subjects of a plan."""

from pathlib import Path

from provisioner.model.record import replace
from provisioner.model.weights import CheckpointFolder, Shelf
from provisioner.planning.sources.folders import from_folder
from provisioner.planning.sources.stock import Subject
from provisioner.weights.folder import checkpoint_in
from tests.unit.weights.checkpoints import PARAMETERS, checkpoint, write

LEFT_OUT = "modeling_evil.py left out: such files can run code"


def folder(tmp_path: Path, files: dict[str, bytes]) -> CheckpointFolder:
    return checkpoint_in(str(write(tmp_path / "Tiny MoE", files)), lambda _path: "1" * 64)


def test_a_checkpoint_is_planned_from_its_own_files(tmp_path: Path) -> None:
    one = folder(tmp_path, checkpoint())
    found = from_folder(one.path, Shelf(folders=(one,)))
    assert isinstance(found, Subject)
    assert (found.id, found.title, found.precision, found.context) == ("tiny-moe", "Tiny MoE", "bf16", 4096)
    assert (found.parameters, found.weights_bytes) == (PARAMETERS, PARAMETERS * 2)
    assert found.active_parameters < found.parameters
    assert found.origin == f"files of this machine; {LEFT_OUT}"
    assert from_folder("Tiny MoE", Shelf(folders=(one,))) == found
    assert from_folder(f"{one.path}/", Shelf(folders=(one,))) == found


def test_what_the_store_holds_comes_from_there(tmp_path: Path) -> None:
    one = folder(tmp_path, checkpoint())
    found = from_folder(one.path, Shelf(folders=(one,), stored={"1" * 64: "/store/blob"}))
    assert isinstance(found, Subject)
    assert {file.origin for file in found.files} == {"/store/blob"}


def test_a_repository_says_where_it_comes_from(tmp_path: Path) -> None:
    one = replace(folder(tmp_path, checkpoint()), path="org/Tiny", source="huggingface")
    found = from_folder("org/Tiny", Shelf(folders=(one,)))
    assert isinstance(found, Subject)
    assert found.origin == f"offered by huggingface; {LEFT_OUT}"


def test_reasons(tmp_path: Path) -> None:
    assert "was not found" in str(from_folder("/nowhere", Shelf()))
    broken = checkpoint()
    del broken["model-00001-of-00002.safetensors"]
    one = folder(tmp_path, broken)
    assert "model-00001-of-00002.safetensors of its 2 parts are missing" in str(
        from_folder(one.path, Shelf(folders=(one,)))
    )
