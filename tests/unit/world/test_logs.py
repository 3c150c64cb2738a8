"""The last lines of a log and those that follow: each once, each whole, across rotation."""

import os
from pathlib import Path

import pytest

from provisioner.world.logs import BLOCK, Log, read


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "llm.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    return path


def add(path: Path, data: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(data)


def test_the_last_lines(log: Path) -> None:
    assert list(read([str(log)], False, 2)) == ["two", "three"]
    assert list(read([str(log)], False, 100)) == ["one", "two", "three"]


def test_more_than_a_block_is_read_where_lines_are_long(tmp_path: Path) -> None:
    path = tmp_path / "llm.log"
    long = [letter * BLOCK for letter in "abc"]
    path.write_text("\n".join(long) + "\n")
    assert list(read([str(path)], False, 2)) == long[-2:]


def test_several_logs_name_their_lines(log: Path, tmp_path: Path) -> None:
    (tmp_path / "embed.log").write_bytes(b"four\n")
    assert list(read([str(log), str(tmp_path / "embed.log")], False, 1)) == ["llm: three", "embed: four"]


def test_a_line_that_is_being_written_is_shown_only_where_nobody_waits_for_its_end(log: Path) -> None:
    add(log, b"fo")
    assert list(read([str(log)], False, 1)) == ["fo"]
    following = read([str(log)], True, 1)
    assert next(following) == "three"
    add(log, b"ur\nfive\nsi")
    assert [next(following), next(following)] == ["four", "five"]
    add(log, b"x\n")
    assert next(following) == "six"


def test_what_is_written_while_the_last_lines_are_shown_is_not_lost(log: Path) -> None:
    following = read([str(log)], True, 3)
    assert next(following) == "one"
    add(log, b"four\n")
    assert [next(following) for _ in range(3)] == ["two", "three", "four"]


def test_a_letter_in_two_halves_is_one_letter(log: Path) -> None:
    seen = Log(str(log))
    seen.last(1, whole=True)
    add(log, "größe".encode()[:3])
    assert seen.fresh() == []
    add(log, "größe".encode()[3:] + b"\n")
    assert seen.fresh() == ["größe"]
    seen.close()


def test_rotated_all_of_the_old_file_comes_before_the_new_one(log: Path) -> None:
    seen = Log(str(log))
    seen.last(1, whole=True)
    add(log, b"four\nhalf")
    assert seen.fresh() == ["four"]
    os.replace(log, f"{log}.1")
    assert seen.fresh() == []  # For an instant there is no file of that name.
    add(Path(f"{log}.1"), b" and end\n")
    log.write_bytes(b"new\n")
    found: list[str] = []
    while len(found) < 2:
        found += seen.fresh()
    assert found == ["half and end", "new"]
    add(log, b"newer\n")
    assert seen.fresh() == ["newer"]
    seen.close()


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    seen = Log(str(tmp_path / "llm.log"))
    assert (seen.last(5, whole=True), seen.fresh()) == ([], [])
    (tmp_path / "llm.log").write_bytes(b"one\n")
    assert seen.fresh() == ["one"]
    seen.close()
