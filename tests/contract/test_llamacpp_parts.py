"""Parts that llama.cpp's own tool made are merged to the file that it divided; and its merge means the same tensors."""

import os
import subprocess
from pathlib import Path

import pytest

from provisioner.weights.ggufparts import Part, read_part
from provisioner.world import tinymodel
from provisioner.world.merge import merge
from tools import images

pytestmark = [pytest.mark.needs("llamacpp")]


def divided(folder: Path, *words: str) -> None:
    """What `llama-gguf-split` of the image does in this folder."""
    user = f"{os.getuid()}:{os.getgid()}"
    tool = ("--entrypoint", "llama-gguf-split", images.image("llamacpp"), *words)
    command = [
        "docker",
        "run",
        "--rm",
        "--network=none",
        f"--user={user}",
        f"--volume={folder}:/w",
        "--workdir=/w",
        *tool,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def tensors(path: Path) -> dict[str, bytes]:
    data = path.read_bytes()
    part: Part = read_part(lambda offset, size: data[offset : offset + size], len(data))
    return {one.name: data[part.data + one.offset :][: one.size] for one in part.tensors}


@pytest.mark.parametrize("more", [(), ("--no-tensor-first-split",)])
def test_what_its_tool_divided_is_again_what_it_was(tmp_path: Path, more: tuple[str, ...]) -> None:
    tinymodel.write(str(tmp_path / "tiny.gguf"))
    divided(tmp_path, "--split", "--split-max-tensors", "9", *more, "tiny.gguf", "part")
    parts = sorted(tmp_path.glob("part-*-of-*.gguf"))
    assert len(parts) >= 3
    (tmp_path / "blobs").mkdir()
    named = [(path.name, str(path)) for path in parts]
    sha256 = merge(named, "tiny.gguf", str(tmp_path / "blobs"), lambda _done, _total: None)
    assert sha256 == tinymodel.sha256()
    divided(tmp_path, "--merge", parts[0].name, "theirs.gguf")
    assert tensors(tmp_path / "theirs.gguf") == tensors(tmp_path / "blobs" / sha256)
