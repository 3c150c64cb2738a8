"""Keys that are handed over: one line, from a file or from standard input."""

from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.model.plugins import Place
from provisioner.phases.clients import insist_on_key, key_given


def test_a_key_is_read_without_its_end_of_line(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("sk-123\n")
    assert key_given(str(path)) == "sk-123"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words\n", b"\xff\xfe", b"one\ntwo\n", b"x" * 5000])
def test_what_is_no_key_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="this is no key"):
        key_given(str(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        key_given(str(tmp_path / "none"))


def test_a_name_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no key of this name") as raised:
        insist_on_key(Place(str(tmp_path), "python", "", user_manager=False), "alice")
    assert raised.value.fix == "provision key create alice"
