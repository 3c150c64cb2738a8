"""What services keep, copied while they write it, and given back."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provisioner.world import snapshots

PAGE = ("page",)


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A service's folder as the chat page has it: a database that is open, uploads, an index, and a cache."""
    folder = tmp_path / "data" / "page"
    for name in ("uploads", "index", "cache/models"):
        os.makedirs(folder / name)
    (folder / "uploads/1_a.txt").write_text("a")
    (folder / "index/data.bin").write_bytes(b"one")
    (folder / "cache/models/weights").write_text("large")
    (folder / "loop").symlink_to(folder)
    with closing(sqlite3.connect(folder / "page.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        with database:
            database.execute("CREATE TABLE chat (words TEXT)")
            database.execute("INSERT INTO chat VALUES ('before')")
        yield tmp_path / "data"


def take(data: Path) -> str:
    folder = f"{data.parent}/snapshots/release"
    snapshots.take(str(data), PAGE, folder)
    return folder


def chats(path: str) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [str(words) for (words, *_) in database.execute("SELECT * FROM chat")]


def write(data: Path, *statements: str) -> None:
    with closing(sqlite3.connect(data / "page/page.db")) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_database_that_is_being_written_is_whole_in_the_copy(data: Path) -> None:
    with closing(sqlite3.connect(data / "page/page.db")) as other:
        other.execute("INSERT INTO chat VALUES ('not finished')")
        folder = take(data)
    assert chats(f"{folder}/page/page.db") == ["before"]


def test_uploads_are_linked_files_that_change_are_copied_and_caches_are_left_out(data: Path) -> None:
    folder = take(data)
    assert os.path.samefile(f"{folder}/page/uploads/1_a.txt", data / "page/uploads/1_a.txt")
    assert not os.path.samefile(f"{folder}/page/index/data.bin", data / "page/index/data.bin")
    assert sorted(snapshots.contents(f"{folder}/page")) == ["index/data.bin", "page.db", "uploads/1_a.txt"]
    assert not os.path.lexists(f"{folder}/page/loop")
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_what_is_taken_comes_back_and_what_came_since_stays_beside(data: Path) -> None:
    folder = take(data)
    write(data, "ALTER TABLE chat ADD COLUMN shared", "INSERT INTO chat VALUES ('after', 1)")
    (data / "page/index/data.bin").write_bytes(b"two")
    os.unlink(data / "page/uploads/1_a.txt")
    (data / "page/uploads/2_b.txt").write_text("b")
    snapshots.restore(folder, str(data), PAGE)
    assert chats(str(data / "page/page.db")) == ["before"]
    assert (data / "page/index/data.bin").read_bytes() == b"one"
    assert sorted(os.listdir(data / "page/uploads")) == ["1_a.txt", "2_b.txt"]
    assert chats(f"{folder}/page/page.db") == ["before"]


def test_a_second_snapshot_takes_the_place_of_the_first(data: Path) -> None:
    take(data)
    write(data, "INSERT INTO chat VALUES ('later')")
    assert chats(f"{take(data)}/page/page.db") == ["before", "later"]
    assert os.listdir(data.parent / "snapshots") == ["release"]


def test_what_was_half_taken_is_no_snapshot_and_does_not_stand_in_the_way(data: Path) -> None:
    os.makedirs(data.parent / "snapshots/release.new.tmp/page")
    (data.parent / "snapshots/release.new.tmp/page/page.db").write_text("half")
    assert chats(f"{take(data)}/page/page.db") == ["before"]


def test_another_form_of_a_database_is_seen_and_other_content_is_not_another_form(data: Path) -> None:
    folder = take(data)
    write(data, "INSERT INTO chat VALUES ('after')")
    assert snapshots.differing(folder, str(data), PAGE) == ()
    write(data, "CREATE TABLE note (words TEXT)")
    assert snapshots.differing(folder, str(data), PAGE) == PAGE


def test_a_migration_that_is_only_noted_is_another_form(data: Path) -> None:
    write(data, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('1')")
    folder = take(data)
    write(data, "UPDATE alembic_version SET version_num = '2'")
    assert snapshots.differing(folder, str(data), PAGE) == PAGE


@pytest.mark.parametrize("harm", ["garbage", "gone"])
def test_a_database_that_was_destroyed_is_another_form_and_comes_back(data: Path, harm: str) -> None:
    folder = take(data)
    path = data / "page/page.db"
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    if harm == "garbage":
        path.write_bytes(snapshots.MAGIC + b"no database" * 1000)
    assert snapshots.differing(folder, str(data), PAGE) == PAGE
    snapshots.take(str(data), PAGE, f"{data.parent}/aside")
    snapshots.restore(folder, str(data), PAGE)
    assert chats(str(path)) == ["before"]
