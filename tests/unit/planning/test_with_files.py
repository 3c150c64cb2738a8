"""A checkpoint of the catalog gets its files from a folder of this machine, or from what a hub listed: all of them, or none."""

from pathlib import Path

import pytest

from provisioner.catalog import load_catalog
from provisioner.model.plan import WeightFile
from provisioner.model.record import replace
from provisioner.model.weights import CheckpointFolder, ConfigFacts, Shelf, TensorBytes
from provisioner.planning.sources.folders import with_files
from provisioner.planning.sources.stock import Subject, from_checkpoint

ENTRY = load_catalog().model("qwen3-0.6b")
REPOSITORY = "Qwen/Qwen3-0.6B"
NAMES = ("config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "tokenizer.json")


def of_catalog(precision: str = "bf16") -> Subject:
    found = from_checkpoint(ENTRY, precision)
    assert isinstance(found, Subject)
    return found


def offered(names: tuple[str, ...], root: str = f"hub:huggingface/{REPOSITORY}") -> Shelf:
    return Shelf(
        offered=tuple(WeightFile(name, 10, f"{place:064}", f"{root}/{name}") for place, name in enumerate(names))
    )


def folder(path: str, layers: int = 28, precision: str = "bf16") -> CheckpointFolder:
    config = ConfigFacts(
        "Qwen3ForCausalLM", replace(ENTRY.architecture, layers=layers), precision, 0, 40960, known=True
    )
    files = tuple(WeightFile(name, 10, None, f"{path}/{name}") for name in NAMES)
    return CheckpointFolder(
        path, "", Path(path).name, files, config, TensorBytes(dense=20), 1, 1, ("pytorch_model.bin",)
    )


@pytest.mark.parametrize(
    "root",
    [f"hub:huggingface/{REPOSITORY}", f"hub:modelscope/{REPOSITORY}", f"hub:https://mirror/{REPOSITORY}/resolve/main"],
)
def test_what_a_hub_listed(root: str) -> None:
    found = with_files(of_catalog(), offered(NAMES, root))
    assert isinstance(found, Subject)
    assert [file.name for file in found.files] == sorted(NAMES)
    assert found.weights_bytes == 20


@pytest.mark.parametrize("missing", NAMES[:3])
def test_half_a_list_is_none(missing: str) -> None:
    assert with_files(of_catalog(), offered(tuple(name for name in NAMES if name != missing))) == of_catalog()


def test_another_repository_of_a_longer_name_is_not_meant() -> None:
    assert with_files(of_catalog(), offered(NAMES, f"hub:huggingface/My{REPOSITORY}")) == of_catalog()


@pytest.mark.parametrize("path", ["/data/Qwen3-0.6B", "/hf/hub/models--Qwen--Qwen3-0.6B/snapshots/0123abcd"])
def test_a_folder_of_this_machine_comes_first(path: str) -> None:
    found = with_files(of_catalog(), replace(offered(NAMES), folders=(folder(path),)))
    assert isinstance(found, Subject)
    assert found.files[0].origin == f"{path}/config.json"
    assert "pytorch_model.bin left out" in found.origin
    assert found.id == ENTRY.id


def test_a_folder_of_another_precision_is_another_model() -> None:
    shelf = Shelf(folders=(folder("/data/Qwen3-0.6B", precision="awq"),))
    assert with_files(of_catalog(), shelf) == of_catalog()


def test_a_folder_that_only_bears_the_name_is_refused() -> None:
    shelf = Shelf(folders=(folder("/data/Qwen3-0.6B", layers=2),))
    assert with_files(of_catalog(), shelf) == "/data/Qwen3-0.6B is not Qwen3 0.6B: it has 2 layers, not 28"


def test_what_nobody_publishes_is_not_taken_from_what_it_would_be_made_of() -> None:
    unpublished = of_catalog("int8")
    assert unpublished.files[0].origin.startswith("convert:")
    assert with_files(unpublished, offered(NAMES)) == unpublished


def test_a_hub_that_has_it_under_another_name() -> None:
    """What was brought from there is found again, whichever hub is preferred next time."""
    entry = replace(
        ENTRY,
        checkpoints=(
            replace(ENTRY.checkpoints[0], repositories={"huggingface": REPOSITORY, "modelscope": "elsewhere/Q"}),
        ),
    )
    preferred = from_checkpoint(entry, "bf16", "modelscope")
    assert isinstance(preferred, Subject)
    assert preferred.files[0].origin == "hub:modelscope/elsewhere/Q/"
    usual = from_checkpoint(entry, "bf16")
    found = with_files(usual, offered(NAMES, "hub:modelscope/elsewhere/Q"))
    assert isinstance(found, Subject)
    assert len(found.files) == len(NAMES)
