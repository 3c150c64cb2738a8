"""The demo's model: the same bytes everywhere, and exactly what the catalog says of it."""

import hashlib
import os
import subprocess
import sys

from provisioner import catalog
from provisioner.weights.gguf import read_header
from provisioner.world import tinymodel


def test_it_is_what_the_catalog_promises(tmp_path: object) -> None:
    path = f"{tmp_path}/tiny.gguf"
    made = tinymodel.write(path)
    entry = catalog.load_catalog().model("demo-tiny")
    offer = entry.offer("f16")
    assert offer is not None
    with open(path, "rb") as file:
        data = file.read()
    assert (made, len(data)) == (offer.sha256, offer.bytes)
    assert hashlib.sha256(data).hexdigest() == made
    header = read_header(lambda offset, size: data[offset : offset + size], len(data))
    shape = entry.architecture
    assert (header.layers, header.hidden, header.feed_forward) == (shape.layers, shape.hidden, shape.feed_forward)
    assert (header.heads, header.kv_heads, header.key_length) == (shape.heads, shape.kv_heads, shape.key_length)
    assert (header.vocab, header.context, header.parameters) == (shape.vocab, entry.context, entry.parameters)
    assert os.listdir(str(tmp_path)) == ["tiny.gguf"]


def test_it_is_made_from_the_shell_without_any_library(tmp_path: object) -> None:
    argv = [sys.executable, "-S", "-m", "provisioner.world.tinymodel", f"{tmp_path}/tiny.gguf"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout.strip() == tinymodel.sha256()


def test_every_byte_has_a_token_and_every_merge_its_parts() -> None:
    tokens = tinymodel.vocabulary()
    assert len(set(tokens)) == len(tokens)
    assert len(set(tinymodel.byte_letters())) == 256
    for merge in tinymodel.merges():
        left, right = merge.split(" ")
        assert left in tokens
        assert right in tokens
        assert left + right in tokens
