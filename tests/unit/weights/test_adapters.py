"""Files of an adapter: what they say, and what is refused before an engine would refuse it."""

from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.weights.adapters import adapter_in
from tests.bed.adapters import write_adapter

SHAPES = {"q_proj": (256, 256), "down_proj": (512, 256)}


def test_rank_modules_and_layers_come_from_the_tensors(tmp_path: Path) -> None:
    found = adapter_in("sql", str(write_adapter(tmp_path / "sql", SHAPES, rank=4, layers=3)), lambda _: "a" * 64)
    assert (found.rank, found.layers, found.modules, found.base) == (4, 3, SHAPES, "tiny")
    assert [file.name for file in found.files] == ["adapter_config.json", "adapter_model.safetensors"]
    assert {file.sha256 for file in found.files} == {"a" * 64}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "no LoRA adapter"),
        ({"r": "eight"}, "no LoRA adapter"),
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_what_is_more_or_less_than_pairs_of_matrices_is_refused(
    tmp_path: Path, config: dict[str, object], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        adapter_in("sql", str(write_adapter(tmp_path / "sql", SHAPES, **config)), lambda _: None)  # type: ignore[arg-type]


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "sql", SHAPES)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(BadInput, match=r"no adapter_model\.safetensors"):
        adapter_in("sql", str(folder), lambda _: None)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "sql", SHAPES)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(BadInput, match="no adapter that could be read"):
        adapter_in("sql", str(folder), lambda _: None)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        adapter_in("sql", str(tmp_path / "sql.gguf"), lambda _: None)
