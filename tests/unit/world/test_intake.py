"""Taking weight files in: linked or copied, hashed once, refused when they are not what they should be."""

import hashlib
import os
import time

import pytest

from provisioner.errors import BadInput
from provisioner.world.intake import CHUNK, digests, take

CONTENT = b"weights" * 100_000
HASH = hashlib.sha256(CONTENT).hexdigest()


class Watch:
    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.calls.append((done, total))


@pytest.fixture
def source(tmp_path: object) -> str:
    os.mkdir(f"{tmp_path}/blobs")
    path = f"{tmp_path}/model.gguf"
    with open(path, "wb") as file:
        file.write(CONTENT)
    return path


def test_a_file_of_our_own_is_linked_and_hashed_once(source: str, tmp_path: object) -> None:
    watch = Watch()
    assert take(source, f"{tmp_path}/blobs", None, None, watch) == HASH
    assert os.path.samefile(source, f"{tmp_path}/blobs/{HASH}")
    assert watch.calls[-1] == (len(CONTENT), len(CONTENT))
    again = Watch()
    assert take(source, f"{tmp_path}/blobs", HASH, HASH, again) == HASH
    assert again.calls == []


def test_taken_twice_without_knowing_leaves_one_blob(source: str, tmp_path: object) -> None:
    for _ in range(2):
        assert take(source, f"{tmp_path}/blobs", None, None, Watch()) == HASH
        assert os.listdir(f"{tmp_path}/blobs") == [HASH]


def test_a_hash_that_is_known_is_not_made_again(source: str, tmp_path: object) -> None:
    watch = Watch()
    take(source, f"{tmp_path}/blobs", HASH, HASH, watch)
    assert watch.calls == []
    assert os.listdir(f"{tmp_path}/blobs") == [HASH]


def test_another_hash_than_expected_leaves_nothing_behind(source: str, tmp_path: object) -> None:
    with pytest.raises(BadInput, match=f"its sha256 is {HASH}") as caught:
        take(source, f"{tmp_path}/blobs", "0" * 64, None, Watch())
    assert "sha256sum" in caught.value.fix
    assert os.listdir(f"{tmp_path}/blobs") == []


def test_through_a_symbolic_link_as_hub_caches_have_them(source: str, tmp_path: object) -> None:
    os.symlink(source, f"{tmp_path}/link.gguf")
    take(f"{tmp_path}/link.gguf", f"{tmp_path}/blobs", HASH, None, Watch())
    assert os.path.samefile(source, f"{tmp_path}/blobs/{HASH}")
    assert not os.path.islink(f"{tmp_path}/blobs/{HASH}")


def test_from_another_file_system_it_is_copied_in_one_pass(tmp_path: object) -> None:
    os.mkdir(f"{tmp_path}/blobs")
    path = f"/dev/shm/provision-test-{os.getpid()}.gguf"
    if os.stat("/dev/shm").st_dev == os.stat(str(tmp_path)).st_dev:
        pytest.skip("/dev/shm is not a file system of its own")
    with open(path, "wb") as file:
        file.write(CONTENT)
    try:
        watch = Watch()
        assert take(path, f"{tmp_path}/blobs", HASH, None, watch) == HASH
    finally:
        os.unlink(path)
    with open(f"{tmp_path}/blobs/{HASH}", "rb") as blob:
        assert blob.read() == CONTENT
    assert len(watch.calls) == 1


def test_a_file_of_somebody_else_is_copied(source: str, tmp_path: object) -> None:
    """They could change a linked one after it was verified."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(source, 12345, 12345)
    take(source, f"{tmp_path}/blobs", HASH, None, Watch())
    assert not os.path.samefile(source, f"{tmp_path}/blobs/{HASH}")


def test_a_file_that_is_gone(tmp_path: object) -> None:
    with pytest.raises(BadInput, match="No such file"):
        take(f"{tmp_path}/gone.gguf", str(tmp_path), None, None, Watch())


def test_several_workers_find_what_one_finds(tmp_path: object) -> None:
    contents = {
        f"{tmp_path}/part-{size}": hashlib.shake_256(b"%d" % size).digest(size) for size in (0, 1, 999, CHUNK + 1)
    }
    for path, content in contents.items():
        with open(path, "wb") as file:
            file.write(content)
    watches = {workers: Watch() for workers in (1, 4)}
    found = {
        workers: {status.st_ino: sha256 for status, sha256 in digests(tuple(contents), watch, workers)}
        for workers, watch in watches.items()
    }
    assert found[1] == found[4]
    assert found[4] == {os.stat(path).st_ino: hashlib.sha256(content).hexdigest() for path, content in contents.items()}
    for watch in watches.values():
        total = sum(map(len, contents.values()))
        assert {of for _, of in watch.calls} == {total}
        assert [done for done, _ in watch.calls] == sorted(done for done, _ in watch.calls)
        assert watch.calls[-1] == (total, total)


def test_of_several_those_that_cannot_be_read_are_left_out(source: str, tmp_path: object) -> None:
    found = list(digests((source, f"{tmp_path}/gone.gguf", f"{tmp_path}/blobs"), Watch()))
    assert [(status.st_ino, sha256) for status, sha256 in found] == [(os.stat(source).st_ino, HASH)]


def test_workers_stop_when_nobody_waits_for_them_any_more(source: str, tmp_path: object) -> None:
    """A file without an end to speak of: hashed to the end, it would take minutes."""
    huge = f"{tmp_path}/huge.gguf"
    with open(huge, "wb") as file:
        file.truncate(1 << 40)
    some = digests((huge, source), Watch())
    assert next(some)[1] == HASH
    began = time.monotonic()
    some.close()
    assert time.monotonic() - began < 10
