"""A model at a hub that is looked at before anything is downloaded, against a hub on loopback that misbehaves on request."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from provisioner.catalog import load_catalog
from provisioner.errors import RunFailed, UserError
from provisioner.model.facts import Unknown
from provisioner.model.spec import Spec
from provisioner.model.weights import ConfigFacts, GgufHeader, Shelf, TensorBytes
from provisioner.phases.survey import is_repository, with_hub
from provisioner.world import tinymodel
from provisioner.world.ranges import Patience, Windows, read_part
from provisioner.world.remote import FIRST, Found, look_at
from tests.hub import Faults, Hub, serving
from tests.unit.weights.checkpoints import CONFIG, PARAMETERS, checkpoint, safetensors

QUICK = Patience(tries=3, pause=0.01, seconds=5)


def repository(files: dict[str, bytes], name: str = "org/Tiny") -> Hub:
    return Hub({f"{name}/{file}": data for file, data in files.items()})


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(repository(checkpoint())) as served:
        yield served


def look(hub: Hub, precision: str = "") -> Found:
    return look_at(hub.url, "org/Tiny", precision, QUICK)


def test_a_checkpoint_is_known_from_its_headers(hub: Hub) -> None:
    (one,) = look(hub).folders
    assert one.problem == ""
    assert isinstance(one.config, ConfigFacts)
    assert isinstance(one.tensors, TensorBytes)
    assert (one.path, one.source, one.title) == ("org/Tiny", hub.url, "Tiny")
    assert (one.parameters, one.tensors.total, one.config.geometry.experts) == (PARAMETERS, PARAMETERS * 2, 4)
    shard = next(file for file in one.files if file.name == "model-00001-of-00002.safetensors")
    assert shard.sha256 == hub.sha256("org/Tiny/model-00001-of-00002.safetensors")
    assert shard.origin == f"hub:{hub.url}/org/Tiny/resolve/main/model-00001-of-00002.safetensors"
    assert "modeling_evil.py" not in {file.name for file in one.files}


def test_no_weights_are_fetched() -> None:
    vast = safetensors({"model.embed_tokens.weight": ("BF16", (1 << 12, 1 << 12))})
    with serving(repository({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": vast})) as hub:
        (one,) = look(hub).folders
        assert one.problem == ""
        assert len(vast) > 32 << 20
        assert hub.sent < 2 * FIRST


def test_a_header_longer_than_the_first_part() -> None:
    many = {f"model.layers.0.mlp.experts.{number}.up_proj.weight": ("BF16", (1,)) for number in range(8000)}
    with serving(
        repository({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors(many)})
    ) as hub:
        assert struct.unpack("<Q", hub.files["org/Tiny/model.safetensors"][:8])[0] > FIRST
        (one,) = look(hub).folders
        hub.faults.lies_in_range = True
        (other,) = look(hub).folders
    assert (one.problem, one.parameters) == ("", 8000)
    assert "its header is no JSON" in other.problem


@pytest.mark.parametrize(
    "faults", [Faults(ranges=False), Faults(redirects=True), Faults(errors=2), Faults(ranges=False, redirects=True)]
)
def test_hubs_that_are_odd_but_honest(hub: Hub, faults: Faults) -> None:
    hub.faults = faults
    (one,) = look(hub).folders
    assert (one.problem, one.parameters) == ("", PARAMETERS)


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (Faults(status=401), "is not open to everybody"),
        (Faults(status=404), "does not exist there"),
        (Faults(fail_after=3), "answers with status 500"),
        (Faults(unnamed_parts=True), "a part that it does not name"),
        (Faults(cut_at=50), "the connection ends after|more expected"),
    ],
)
def test_what_cannot_be_had_is_said_once(hub: Hub, faults: Faults, words: str) -> None:
    hub.faults = faults
    with pytest.raises(UserError, match=words) as raised:
        look(hub)
    assert raised.value.fix


def test_wrong_bytes_are_no_model(hub: Hub) -> None:
    hub.faults.wrong_bytes = True
    (one,) = look(hub).folders
    assert "config.json is no JSON" in one.problem


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("model-00001-of-00002.safetensors", struct.pack("<Q", 1 << 40) + bytes(100), "is damaged, hostile"),
        ("model-00001-of-00002.safetensors", struct.pack("<Q", 50_000_000) + bytes(100), "cut short"),
        ("model-00001-of-00002.safetensors", b"\x08", "too short"),
        ("config.json", b"<html>", "no JSON"),
        ("model.safetensors.index.json", b"{}", "no `weight_map`"),
    ],
)
def test_files_that_are_damaged_or_hostile(hub: Hub, name: str, data: bytes, words: str) -> None:
    hub.files[f"org/Tiny/{name}"] = data
    (one,) = look(hub).folders
    assert words in one.problem


def test_a_huge_header_is_not_fetched() -> None:
    data = struct.pack("<Q", 64 << 20) + b" " * (64 << 20)
    with serving(repository({"config.json": json.dumps(CONFIG).encode(), "model.safetensors": data})) as hub:
        (one,) = look(hub).folders
        assert "its header would be 64 MiB" in one.problem
        assert hub.sent < 2 << 20


def test_repositories_without_a_model() -> None:
    for files, words in (
        ({"README.md": b"hello"}, "holds no model"),
        ({"pytorch_model.bin": b"\x80"}, "pytorch_model.bin can run code"),
    ):
        with serving(repository(files)) as hub, pytest.raises(RunFailed, match=words):
            look(hub)


def test_a_gguf_is_known_from_its_header() -> None:
    tiny = tinymodel.model_bytes()
    names = ("Tiny-F16.gguf", "Q4/Tiny-Q4_K_M.gguf", "Tiny-Q8_0.gguf", "mmproj-Tiny-F16.gguf")
    with serving(repository(dict.fromkeys(names, tiny))) as hub:
        found = look(hub)
        (one,) = found.local
        assert one.path == f"hub:{hub.url}/org/Tiny/resolve/main/Q4/Tiny-Q4_K_M.gguf"
        assert isinstance(one.header, GgufHeader)
        assert (one.header.architecture, one.sha256, one.size_bytes) == ("qwen2", tinymodel.sha256(), len(tiny))
        assert {file.name for file in found.offered} == {name.rpartition("/")[2] for name in names}
        (other,) = look(hub, "q8_0").local
        assert other.path.endswith("/Tiny-Q8_0.gguf")


def test_a_gguf_that_is_cut_short_at_the_hub() -> None:
    with serving(repository({"a.gguf": tinymodel.model_bytes()[:3000]})) as hub:
        (one,) = look(hub).local
    assert isinstance(one.header, Unknown)
    assert "cut short" in one.header.reason


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(RunFailed, match="cannot be reached") as raised:
            look_at(f"http://127.0.0.1:{taken.getsockname()[1]}", "org/Tiny", "", QUICK)
    assert "in one of three ways" in raised.value.fix


def test_a_server_that_drips_is_given_up() -> None:
    hub = repository({"model.bin": bytes(1 << 20)})
    hub.faults.seconds_a_chunk = 0.2
    with serving(hub), pytest.raises(RunFailed, match="cannot be reached"):
        read_part(f"{hub.url}/org/Tiny/resolve/main/model.bin", 0, 1 << 20, "model.bin", Patience(1, 0.0, 0.5))


@pytest.mark.parametrize("ranges", [True, False])
def test_parts_anywhere_in_a_file(ranges: bool) -> None:
    data = bytes(number % 251 for number in range(300_000))
    hub = repository({"f.bin": data})
    hub.faults.ranges = ranges
    with serving(hub):
        url = f"{hub.url}/org/Tiny/resolve/main/f.bin"
        for begin, size in ((0, 8), (100, 1000), (299_990, 10), (299_990, 1000), (400_000, 5)):
            assert read_part(url, begin, size, "f.bin", QUICK) == data[begin : begin + size]
        windows = Windows(url, "f.bin", QUICK)
        assert windows.read(10, 20) == data[10:30]
        asked = len(hub.asked)
        assert windows.read(200_000, 50) == data[200_000:200_050]
        assert len(hub.asked) == asked


def test_a_far_part_is_not_waited_for_where_there_are_no_ranges() -> None:
    with serving(repository({"f.bin": bytes(100)})) as hub:
        hub.faults.ranges = False
        with pytest.raises(RunFailed, match="status 501"):
            read_part(f"{hub.url}/org/Tiny/resolve/main/f.bin", 1 << 30, 8, "f.bin", QUICK)


def test_a_connection_that_closes_in_the_middle() -> None:
    """A raw socket: it promises a thousand bytes, sends ten and goes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _ in range(2):
                line, _ = server.accept()
                with line:
                    line.recv(4096)
                    line.sendall(
                        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nContent-Range: bytes 0-999/1000\r\n\r\n0123456789"
                    )

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(RunFailed, match="cannot be reached"):
            read_part(f"http://127.0.0.1:{server.getsockname()[1]}/f", 0, 1000, "f", Patience(2, 0.01, 5))
        thread.join()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("org/name", True), ("Qwen/Qwen3-8B", True), ("qwen3-8b", False), ("/a/b", False), ("./a/b", False), ("../b", False),
        ("a/b/c", False), ("a/", False), ("a/b.gguf", False), ("a b/c", False), ("a/..", False),
    ],
)  # fmt: skip
def test_what_names_a_repository(text: str, said: bool) -> None:
    assert is_repository(text) is said


def test_a_folder_of_this_machine_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    with chdir(tmp_path):
        assert not is_repository("a/b")


def test_the_shelf_gets_what_only_the_hub_has(hub: Hub) -> None:
    books = load_catalog()
    full = with_hub(Spec(model="org/Tiny", source=hub.url), Shelf(), books)
    assert [one.path for one in full.folders] == ["org/Tiny"]
    asked = len(hub.asked)
    assert with_hub(Spec(model="org/Tiny", source=hub.url), Shelf(), books) == full
    for known in ("qwen3-8b", "Qwen/Qwen3-8B", "/data/Tiny"):
        assert with_hub(Spec(model=known, source=hub.url), Shelf(), books) == Shelf()
    assert len(hub.asked) == asked
