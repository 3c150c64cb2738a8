"""Parts that the real llama.cpp wrote, merged here, are the file that it makes of them itself."""

import os
import subprocess
from pathlib import Path

import pytest

from provisioner.weights.ggufparts import Part, read_part
from provisioner.world.merge import merge
from tests.splitting import names, tiny
from tools import images

pytestmark = [pytest.mark.needs("llamacpp")]


def copied(folder: Path, *words: str) -> None:
    """What `llama-quantize` of the image does in this folder when it has nothing to quantize."""
    run = (
        "run",
        "--rm",
        "--network=none",
        f"--user={os.getuid()}:{os.getgid()}",
        f"--volume={folder}:/w",
        "--workdir=/w",
    )
    tool = ("--entrypoint", "llama-quantize", images.image("llamacpp"), *words, "COPY", "1")
    done = subprocess.run(["docker", *run, *tool], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def read(path: Path) -> tuple[tuple[bytes, ...], dict[str, bytes]]:
    """Its metadata, and the bytes of each tensor."""
    data = path.read_bytes()
    part: Part = read_part(lambda offset, size: data[offset : offset + size], len(data))
    return part.pairs, {one.name: data[part.data + one.offset :][: one.size] for one in part.tensors}


@pytest.mark.parametrize("cuts", [(9, 20), (0, 9)])
def test_its_parts_are_merged_to_what_it_merges(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    for name, content in zip(names("mine", 3), tiny(cuts), strict=True):
        (tmp_path / name).write_bytes(content)
    first = names("mine", 3)[0]
    copied(tmp_path, first, "whole.gguf")
    copied(tmp_path, "--keep-split", first, "parts.gguf")
    parts = sorted(tmp_path.glob("parts-*-of-*.gguf"))
    assert len(parts) == 3
    (tmp_path / "blobs").mkdir()
    named = [(path.name, str(path)) for path in parts]
    sha256 = merge(named, "merged.gguf", str(tmp_path / "blobs"), lambda _done, _total: None)
    assert read(tmp_path / "blobs" / sha256) == read(tmp_path / "whole.gguf")
