"""Which files are weights, and why some are not served."""

import pytest

from provisioner.weights.formats import is_weights, refusal


@pytest.mark.parametrize("name", ["model.bin", "a.PT", "b.pth", "c.pkl", "d.ckpt", "e.h5", "pytorch_model.bin"])
def test_files_that_can_run_code_are_refused(name: str) -> None:
    assert is_weights(name)
    assert "run code" in str(refusal(name))


def test_the_others() -> None:
    assert refusal("model.GGUF") is None
    assert "bring the whole folder" in str(refusal("model.safetensors"))
    assert "is a program" in str(refusal("model.llamafile"))
    assert not is_weights("README.md")
