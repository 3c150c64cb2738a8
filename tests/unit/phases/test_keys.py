"""Keys without a gateway that answers: what is written, what is refused, and what a killed run leaves."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from provisioner.errors import BadInput, Refused
from provisioner.model.plugins import Place
from provisioner.phases import keys
from provisioner.services import _gateway_keys as book
from provisioner.services import gateway
from provisioner.world.database import locked
from tests.bed.keys import state
from tests.program import run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A state whose release in force has a gateway; nobody listens at its port."""
    return state(tmp_path / "state")


def written(place: Place) -> str:
    return Path(gateway.keys_folder(place), "keys.conf").read_text()


def test_a_key_is_shown_once_and_kept_as_a_hash(place: Place) -> None:
    made = keys.create(place, "alice", None, None, None)
    assert made.in_force is None
    assert len(made.secret) == 46
    assert made.key.sha256 == sha256(made.secret.encode()).hexdigest()
    assert (made.key.rate, made.key.concurrency, made.key.expires_unix) == (120, 8, None)
    assert keys.listed(place) == (made.key,)
    everything = "".join(path.read_text() for path in Path(place.state).rglob("*") if path.suffix in (".conf", ".log"))
    assert "alice" in everything
    assert made.secret not in everything


def test_nobody_else_reads_the_hashes(place: Place) -> None:
    keys.create(place, "alice", None, None, None)
    assert os.stat(gateway.keys_folder(place)).st_mode & 0o777 == 0o700
    assert os.stat(f"{gateway.keys_folder(place)}/keys.conf").st_mode & 0o777 == 0o600


def test_a_key_that_expires_says_when(place: Place) -> None:
    key = keys.create(place, "alice", 5, 1, 30).key
    assert key.expires_unix is not None
    assert (key.expires_unix - key.created_unix, key.rate, key.concurrency) == (30 * 86400, 5, 1)


def test_a_revoked_key_is_gone_and_its_name_free(place: Place) -> None:
    first = keys.create(place, "alice", None, None, None)
    assert keys.revoke(place, "alice").key == first.key
    assert keys.listed(place) == ()
    assert keys.create(place, "alice", None, None, None).key.sha256 != first.key.sha256


@pytest.mark.parametrize(
    "name", ["", "Alice", "a b", "a\nb", 'a"b', "-a", ".a", "ä", "a" * 64, "provision", "a/b", "a;"]
)
def test_names_that_would_not_do(place: Place, name: str) -> None:
    with pytest.raises(BadInput):
        keys.create(place, name, None, None, None)
    assert not os.path.exists(gateway.keys_folder(place))


@pytest.mark.parametrize("number", [0, 1_000_001])
def test_limits_that_would_not_do(place: Place, number: int) -> None:
    for limits in ((number, None, None), (None, number, None), (None, None, number)):
        with pytest.raises(BadInput, match="out of range"):
            keys.create(place, "alice", *limits)


def test_a_second_key_of_one_name_and_an_unknown_one_are_refused_with_a_remedy(place: Place) -> None:
    keys.create(place, "alice", None, None, None)
    before = written(place)
    with pytest.raises(BadInput) as twice:
        keys.create(place, "alice", None, None, None)
    with pytest.raises(BadInput) as unknown:
        keys.revoke(place, "alcie")
    assert "provision key revoke alice" in twice.value.fix
    assert unknown.value.fix == "did you mean `alice`?"
    assert written(place) == before


def test_keys_that_somebody_changed_are_not_written_over(place: Place) -> None:
    keys.create(place, "alice", None, None, None)
    path = Path(gateway.keys_folder(place), "keys.conf")
    path.write_text(path.read_text().replace("alice 1", "mallory 1"))
    with pytest.raises(Refused, match="changed by somebody else"):
        keys.create(place, "bob", None, None, None)
    with pytest.raises(Refused, match="changed by somebody else"):
        keys.listed(place)


def test_what_a_killed_run_left_half_written_is_no_key(place: Place) -> None:
    made = keys.create(place, "alice", None, None, None)
    Path(gateway.keys_folder(place), "keys.conf.tmp").write_text(book.text((made.key,))[:50])
    assert keys.listed(place) == (made.key,)
    keys.create(place, "bob", None, None, None)
    assert [key.name for key in keys.listed(place)] == ["alice", "bob"]
    assert os.listdir(gateway.keys_folder(place)) == ["keys.conf"]


def test_without_a_gateway_there_is_nothing_that_a_key_would_open(tmp_path: Path, place: Place) -> None:
    nothing = Place(str(tmp_path / "nothing"), "python", "", user_manager=False)
    with pytest.raises(Refused, match="nothing was ever set up"):
        keys.create(nothing, "alice", None, None, None)
    with locked(place.state, "down") as store:
        store.activate(None)
    with pytest.raises(Refused, match="no gateway is in force"):
        keys.create(place, "alice", None, None, None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say what is to be done"),
        (("delete", "alice"), "`delete` is nothing"),
        (("create",), "needs a name"),
        (("revoke", "alice", "--rate", "5"), "`--rate` belongs to a key that is made"),
        (("list", "alice"), "does not expect `alice`"),
    ],
)
def test_words_that_say_nothing_to_do(words: tuple[str, ...], says: str) -> None:
    done = run("key", *words)
    assert done.code == 2
    assert says in done.err
    assert "fix: `provision key" in done.err or "fix: limits" in done.err


def test_what_a_person_sees(place: Place) -> None:
    state = ("--state-dir", place.state)
    made = run("key", "create", "alice", "--expires", "3", *state)
    listed = run("key", "list", *state)
    assert made.code == listed.code == 0
    assert "It is not kept and cannot be shown again" in made.out
    assert "No gateway answers now" in made.out
    assert "  sk-" in made.out
    assert "alice" in listed.out
    assert "120" in listed.out
    assert "alice is revoked" in run("key", "revoke", "alice", *state).out
    assert "There are no keys yet" in run("key", "list", *state).out
