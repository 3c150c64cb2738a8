"""Parts of a GGUF merged on the disk: the same bytes as before they were divided, whole or not there at all."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import BadInput, RunFailed
from provisioner.model.actions import MergeParts, TakeFile
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.weights import key_of_parts
from provisioner.phases.survey import half_made_bytes, survey
from provisioner.world import tinymodel
from provisioner.world.bring import bring
from provisioner.world.database import locked
from provisioner.world.merge import merge
from provisioner.world.store import Store
from tests.splitting import names, tiny
from tests.unit.planning.samples import plan

HASH = tinymodel.sha256()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "blobs"
    found.mkdir()
    return found


def quiet(_done: int, _total: int) -> None:
    return


def written(folder: Path, parts: list[bytes]) -> list[tuple[str, str]]:
    """Each part under its name in a folder of its own."""
    folder.mkdir(exist_ok=True)
    named = dict(zip(names("tiny", len(parts)), parts, strict=True))
    for name, content in named.items():
        (folder / name).write_bytes(content)
    return [(name, str(folder / name)) for name in named]


def test_the_whole_is_what_was_divided(tmp_path: Path, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    parts = written(tmp_path / "in", tiny((0, 9, 20)))
    sha256 = merge(parts, "tiny.gguf", str(folder), lambda done, total: told.append((done, total)))
    assert sha256 == HASH
    assert os.listdir(folder) == [HASH]
    assert (folder / HASH).read_bytes() == tinymodel.model_bytes()
    size = len(tinymodel.model_bytes())
    assert told[-1] == (size, size)
    assert told == sorted(told)


def test_what_is_no_model_together_leaves_nothing(tmp_path: Path, folder: Path) -> None:
    parts = written(tmp_path / "in", tiny((9, 20)))
    with pytest.raises(BadInput, match=r"tiny-00001-of-00003\.gguf: part 2 of 3 says that it is part 3 of 3"):
        merge([parts[0], parts[2], parts[1]], "tiny.gguf", str(folder), quiet)
    Path(parts[1][1]).write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match=r"tiny-00002-of-00003\.gguf: it is no GGUF file"):
        merge(parts, "tiny.gguf", str(folder), quiet)
    assert os.listdir(folder) == []


def test_a_part_that_changes_meanwhile(tmp_path: Path, folder: Path) -> None:
    parts = written(tmp_path / "in", tiny((9,)))

    def change(_done: int, _total: int) -> None:
        os.utime(parts[1][1], (1, 1))

    with pytest.raises(RunFailed, match=r"tiny-00002-of-00002\.gguf: it was changed while it was read"):
        merge(parts, "tiny.gguf", str(folder), change)
    assert os.listdir(folder) == []


def test_no_room_is_told_before_anything_is_written(tmp_path: Path, folder: Path) -> None:
    """A header may claim tensors of any size, and a file may be as long as that without a byte of it on the disk."""
    (first, path), second = written(tmp_path / "in", tiny((9,)))
    data = bytearray(Path(path).read_bytes())
    name = b"token_embd.weight"
    at = data.index(name) + len(name) + 4
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    data[at + 8 : at + 16] = (free // 256 // 2).to_bytes(8, "little")
    Path(path).write_bytes(data)
    os.truncate(path, free + (64 << 20))
    with pytest.raises(RunFailed, match=r"tiny\.gguf needs .* GiB are free"):
        merge([(first, path), second], "tiny.gguf", str(folder), quiet)
    assert os.listdir(folder) == []


KILLED = """
import os, signal, sys
from provisioner.world.merge import merge
def die(done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
merge([(path.rsplit("/", 1)[1], path) for path in sys.argv[2:]], "tiny.gguf", sys.argv[1], die)
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(f"{tmp_path}/state", "python", "", user_manager=False)


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    with locked(place.state, "test") as store:
        yield store


def test_killed_half_way_it_leaves_what_the_next_run_removes(tmp_path: Path, place: Place, store: Store) -> None:
    parts = written(tmp_path / "in", tiny((9,)))
    blobs = Path(place.blob("")).parent
    blobs.mkdir(parents=True)
    child = subprocess.run([sys.executable, "-c", KILLED, str(blobs), *(path for _, path in parts)], check=False)
    assert child.returncode == -signal.SIGKILL
    (half,) = os.listdir(blobs)
    standing = survey(store, place)
    assert standing.leftovers == (f"{blobs}/{half}",)
    assert 1 << 20 < half_made_bytes(standing, plan("4 cores, 16 GiB")) <= os.stat(blobs / half).st_blocks * 512
    assert merge(parts, "tiny.gguf", str(blobs), quiet) == HASH
    assert os.listdir(blobs) == [HASH]


def taken(tmp_path: Path, place: Place, store: Store, cuts: tuple[int, ...]) -> WeightFile:
    """The whole of these parts, which are in the store."""
    parts = written(tmp_path / f"in{len(cuts)}", tiny(cuts))
    files = tuple(WeightFile(name, os.stat(path).st_size, None, path) for name, path in parts)
    for file in files:
        bring(TakeFile(file, place.blob("?")), place, store, quiet)
    return WeightFile("tiny.gguf", sum(file.size_bytes for file in files), None, f"merged:{parts[0][1]}", files)


def test_parts_in_the_store_are_merged_and_known_together(tmp_path: Path, place: Place, store: Store) -> None:
    """Divided in two ways it is one blob, which stays the file that it is, and both ways lead to it."""
    known, inodes = [], set()
    for cuts in ((9,), (4, 9)):
        whole = taken(tmp_path, place, store, cuts)
        bring(MergeParts(whole, place.blob("?")), place, store, quiet)
        inodes.add(os.stat(place.blob(HASH)).st_ino)
        known.append(key_of_parts([store.verified(part.origin) or "" for part in whole.parts]))
    assert store.merged() == dict.fromkeys(known, HASH)
    assert len(set(known)) == 2
    assert len(inodes) == 1
    assert not [name for name in os.listdir(os.path.dirname(place.blob(""))) if name.endswith(".tmp")]
    assert HASH in store.stored()


def test_a_part_that_is_gone_from_the_store_is_named(tmp_path: Path, place: Place, store: Store) -> None:
    whole = taken(tmp_path, place, store, (9,))
    os.unlink(place.blob(store.verified(whole.parts[1].origin) or ""))
    with pytest.raises(RunFailed, match=r"tiny-00002-of-00002\.gguf: this part is not in the store"):
        bring(MergeParts(whole, place.blob("?")), place, store, quiet)


def test_the_line_can_be_repeated_by_hand() -> None:
    part = WeightFile("m-00001-of-00002.gguf", 1, None, "/data/my models/m-00001-of-00002.gguf")
    whole = WeightFile("m.gguf", 2, None, "merged:x", (part,))
    assert str(MergeParts(whole, "/s/b")) == "llama-gguf-split --merge '/data/my models/m-00001-of-00002.gguf' /s/b"
    stored = WeightFile("m-00001-of-00002.gguf", 1, "0" * 64, f"/s/{'0' * 64}")
    assert str(MergeParts(WeightFile("m.gguf", 2, None, "merged:x", (stored,)), "/s/b")).split()[2] == stored.name
