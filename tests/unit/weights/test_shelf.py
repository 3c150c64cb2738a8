"""What lies on the shelf: headers are read, claims beside files are seen, nothing is hashed and nobody is asked."""

import os
import struct

import pytest

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.plugins import Place
from provisioner.model.spec import Spec
from provisioner.model.weights import GgufHeader
from provisioner.weights.shelf import shelf
from provisioner.world import tinymodel
from provisioner.world.database import locked, reading

TINY = tinymodel.model_bytes()
HASH = tinymodel.sha256()


def put(path: str, data: bytes) -> str:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def place(tmp_path: object) -> Place:
    return Place(f"{tmp_path}/state", "python", "", user_manager=False)


def look(spec: Spec, tmp_path: object) -> dict[str, tuple[str | None, GgufHeader | Unknown]]:
    with reading(f"{tmp_path}/state") as store:
        found = shelf(spec, store, place(tmp_path))
    return {os.path.relpath(file.path, str(tmp_path)): (file.sha256, file.header) for file in found.local}


def test_a_folder_with_good_and_bad_files(tmp_path: object) -> None:
    put(f"{tmp_path}/w/good.gguf", TINY)
    put(f"{tmp_path}/w/deep/down/short.gguf", TINY[:1000])
    put(f"{tmp_path}/w/model.bin", b"pickle")
    put(f"{tmp_path}/w/model.safetensors", b"")
    put(f"{tmp_path}/w/README.md", b"")
    found = look(Spec(weights=f"{tmp_path}/w"), tmp_path)
    assert found.keys() == {"w/good.gguf", "w/deep/down/short.gguf", "w/model.bin", "w/model.safetensors"}
    good = found["w/good.gguf"]
    assert good[0] is None
    assert isinstance(good[1], GgufHeader)
    reasons = {name: header.reason for name, (_, header) in found.items() if isinstance(header, Unknown)}
    assert "cut short" in reasons["w/deep/down/short.gguf"]
    assert "run code" in reasons["w/model.bin"]
    assert "config.json" in reasons["w/model.safetensors"]


def test_claims_beside_files(tmp_path: object) -> None:
    put(f"{tmp_path}/w/a.gguf", TINY)
    put(f"{tmp_path}/w/a.gguf.sha256", HASH.encode())
    put(f"{tmp_path}/w/b.gguf", TINY)
    put(f"{tmp_path}/w/SHA256SUMS", f"{'1' * 64}  b.gguf\n".encode())
    found = look(Spec(weights=f"{tmp_path}/w"), tmp_path)
    assert (found["w/a.gguf"][0], found["w/b.gguf"][0]) == (HASH, "1" * 64)


def test_a_file_that_was_hashed_before_is_known_until_it_changes(tmp_path: object) -> None:
    path = put(f"{tmp_path}/w/a.gguf", TINY)
    with locked(f"{tmp_path}/state", "test") as store:
        store.remember_hash(path, HASH)
    assert look(Spec(weights=path), tmp_path)["w/a.gguf"][0] == HASH
    put(path, TINY + b"!")
    assert look(Spec(weights=path), tmp_path)["w/a.gguf"][0] is None


def test_a_model_named_by_its_path(tmp_path: object) -> None:
    path = put(f"{tmp_path}/one.gguf", TINY)
    assert look(Spec(model=path), tmp_path).keys() == {"one.gguf"}
    assert look(Spec(model="qwen3-8b"), tmp_path) == {}


def part(number: int, elements: int) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    keys = [text("split.no") + struct.pack("<IH", 2, number), text("split.count") + struct.pack("<IH", 2, 2)]
    tensor = text("t") + struct.pack("<IQIQ", 1, elements, 24, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + b"".join(keys) + tensor
    return head + bytes(-len(head) % 32) + bytes(elements)


def test_the_parts_of_a_split_model_know_the_whole(tmp_path: object) -> None:
    first = put(f"{tmp_path}/m-Q4-00001-of-00002.gguf", part(0, 100))
    put(f"{tmp_path}/m-Q4-00002-of-00002.gguf", part(1, 50))
    put(f"{tmp_path}/other-Q4-00001-of-00002.gguf", part(0, 7))
    found = look(Spec(model=first), tmp_path)
    assert found.keys() == {"m-Q4-00001-of-00002.gguf", "m-Q4-00002-of-00002.gguf"}
    for _, header in found.values():
        assert isinstance(header, GgufHeader)
        assert (header.parameters, header.shards) == (150, 2)


def test_a_folder_that_is_not_there(tmp_path: object) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        look(Spec(weights=f"{tmp_path}/nowhere"), tmp_path)


def test_what_hubs_said_is_remembered_and_the_wanted_one_comes_first(tmp_path: object) -> None:
    with locked(f"{tmp_path}/state", "test") as store:
        store.remember_offer("hub:huggingface/a/b/deep/m.gguf", 7, "1" * 64)
        store.remember_offer("hub:modelscope/a/b/m.gguf", 8, "2" * 64)
        store.remember_offer("hub:https://mirror.lan/a/b/resolve/main/n.gguf", 9, "3" * 64)
        for source, size in ((None, 7), ("modelscope", 8)):
            offered = shelf(Spec(source=source), store, place(tmp_path)).offered
            assert not isinstance(offered, Unknown)
            assert {(file.name, file.size_bytes) for file in offered} == {("m.gguf", size), ("n.gguf", 9)}


def test_a_blob_counts_while_it_is_what_was_hashed(tmp_path: object) -> None:
    blob = f"{tmp_path}/state/blobs/sha256/{HASH}"
    with locked(f"{tmp_path}/state", "up") as store:
        put(blob, TINY)
        put(f"{tmp_path}/state/blobs/sha256/{'2' * 64}.part", b"")
        assert shelf(Spec(), store, place(tmp_path)).stored == {}
        store.remember_hash(blob, HASH)
        found = shelf(Spec(), store, place(tmp_path))
        os.utime(blob, ns=(1, 1))
        changed = shelf(Spec(), store, place(tmp_path))
    assert found.stored == {HASH: blob}
    assert found.holds(HASH)
    assert changed.stored == {}
