"""Checkpoints in folders of this machine: what they hold, what is missing, and that only headers are read."""

import json
import os
from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.plugins import Place
from provisioner.model.spec import Spec
from provisioner.model.weights import CheckpointFolder, ConfigFacts, Shelf, TensorBytes
from provisioner.weights.folder import checkpoint_in, is_checkpoint_folder
from provisioner.weights.shelf import shelf
from provisioner.world.database import reading
from tests.unit.weights.checkpoints import CONFIG, PARAMETERS, checkpoint, safetensors, write


def found(folder: Path) -> CheckpointFolder:
    return checkpoint_in(str(folder), lambda _path: None)


def look(spec: Spec, tmp_path: Path) -> Shelf:
    with reading(f"{tmp_path}/state") as store:
        return shelf(spec, store, Place(f"{tmp_path}/state", "python", "", user_manager=False))


def test_a_whole_checkpoint(tmp_path: Path) -> None:
    one = found(write(tmp_path / "Tiny-MoE", checkpoint()))
    assert one.problem == ""
    assert isinstance(one.config, ConfigFacts)
    assert isinstance(one.tensors, TensorBytes)
    assert (one.title, one.parameters, one.tensors.total) == ("Tiny-MoE", PARAMETERS, PARAMETERS * 2)
    assert one.active_parameters == PARAMETERS - 2 * 9 * 32 * 64
    assert (one.config.precision, one.config.context, one.config.geometry.experts) == ("bf16", 4096, 4)
    assert [file.name for file in one.files] == [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "tokenizer.json",
    ]  # fmt: skip


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    files = checkpoint()
    del files["model-00002-of-00002.safetensors"]
    assert "model-00002-of-00002.safetensors of its 2 parts are missing" in found(write(tmp_path / "m", files)).problem
    del files["model.safetensors.index.json"]
    assert "model-00002-of-00002.safetensors of its 2 parts are missing" in found(write(tmp_path / "n", files)).problem


def test_a_part_that_is_cut_short_is_named(tmp_path: Path) -> None:
    files = checkpoint()
    files["model-00002-of-00002.safetensors"] = files["model-00002-of-00002.safetensors"][:-7]
    assert found(write(tmp_path / "m", files)).problem.startswith(
        "model-00002-of-00002.safetensors: the file is cut short"
    )


def test_parts_of_different_models_are_told(tmp_path: Path) -> None:
    files = checkpoint()
    files["model-00002-of-00002.safetensors"] = safetensors({"other.weight": ("BF16", (4,))})
    assert "the index says that tensor model.layers.1." in found(write(tmp_path / "m", files)).problem


def test_reasons_carry_nothing_that_moves_a_cursor(tmp_path: Path) -> None:
    files = checkpoint()
    index = {"weight_map": {"\x1b[2J\u202eevil": "model-00001-of-00002.safetensors"}}
    files["model.safetensors.index.json"] = json.dumps(index).encode()
    problem = found(write(tmp_path / "m", files)).problem
    assert "[2J" in problem
    assert problem.isprintable()


def test_pickled_weights_are_refused_with_the_reason(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {"config.json": json.dumps(CONFIG).encode(), "pytorch_model.bin": b"\x80\x04"})
    assert is_checkpoint_folder(str(folder))
    assert "can run code when they are loaded" in found(folder).problem


def test_a_config_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    for config, words in (
        (b"{", "config.json: config.json is no JSON"),
        (b'{"model_type": "llama2"}', "config.json: it has no `num_hidden_layers`"),
        (b" " * (5 << 20), "larger than 4 MiB"),
    ):
        assert words in found(write(tmp_path / "m", {**checkpoint(), "config.json": config})).problem


def test_one_file_and_several_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    small = safetensors({"model.embed_tokens.weight": ("F16", (256, 64))})
    config = json.dumps({**CONFIG, "torch_dtype": None}).encode()
    alone = found(write(tmp_path / "one", {"config.json": config, "model.safetensors": small}))
    assert isinstance(alone.config, ConfigFacts)
    assert alone.config.precision == "fp16"
    several = found(write(tmp_path / "two", {"config.json": config, "a.safetensors": small, "b.safetensors": small}))
    assert "which of them belong together" in several.problem


def test_links_of_a_cache_are_followed_and_name_the_hash(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, (name, data) in enumerate(checkpoint().items()):
        (blobs / f"{number:064x}").write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{number:064x}")
    (folder,) = look(Spec(model=str(snapshot)), tmp_path).folders
    assert folder.problem == ""
    assert all(file.sha256 is not None and len(file.sha256) == 64 for file in folder.files)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    files = checkpoint()
    del files["model-00002-of-00002.safetensors"]
    folder = write(tmp_path / "m", files)
    os.mkfifo(folder / "model-00002-of-00002.safetensors")
    assert "missing" in found(folder).problem
    (folder / "model-00002-of-00002.safetensors").unlink()
    (folder / "model-00002-of-00002.safetensors").symlink_to("/dev/zero")
    assert "missing" in found(folder).problem


def test_folders_below_the_operators(tmp_path: Path) -> None:
    write(tmp_path / "w" / "org" / "a", checkpoint())
    write(tmp_path / "w" / "b", checkpoint())
    write(tmp_path / "w", {"loose.safetensors": b"", "README.md": b""})
    found = look(Spec(weights=f"{tmp_path}/w"), tmp_path)
    assert [os.path.relpath(one.path, tmp_path) for one in found.folders] == ["w/b", "w/org/a"]
    assert [os.path.basename(file.path) for file in found.local] == ["loose.safetensors"]
    assert isinstance(found.local[0].header, Unknown)


def test_a_folder_that_is_no_checkpoint(tmp_path: Path) -> None:
    write(tmp_path / "empty", {"README.md": b""})
    with pytest.raises(BadInput, match="a folder: name the GGUF file in it"):
        look(Spec(model=f"{tmp_path}/empty"), tmp_path)


def test_a_checkpoint_of_a_terabyte_costs_its_headers_only(tmp_path: Path) -> None:
    names = [f"model-{number:05}-of-00163.safetensors" for number in range(1, 164)]
    folder = write(tmp_path / "big", {"config.json": json.dumps(CONFIG).encode()})
    for number, name in enumerate(names):
        data = safetensors(
            {f"model.layers.0.mlp.experts.{number}.up_proj.weight": ("BF16", (1 << 16, 1 << 15))}, data=False
        )
        (folder / name).write_bytes(data)
        os.truncate(folder / name, len(data) + (1 << 32))
    one = found(folder)
    assert one.problem == ""
    assert isinstance(one.tensors, TensorBytes)
    assert one.tensors.experts == 163 << 32
