"""The file of keys: what is written is read back, and nothing else is taken for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from provisioner.model.keys import Key
from provisioner.services import _gateway_keys as book

NUMBERS = some.integers(1, 1_000_000)
KEYS = some.lists(
    some.builds(
        Key,
        name=some.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z"),
        sha256=some.binary(min_size=32, max_size=32).map(bytes.hex),
        created_unix=NUMBERS,
        expires_unix=some.none() | NUMBERS,
        rate=NUMBERS,
        concurrency=NUMBERS,
    ),
    max_size=5,
    unique_by=(lambda key: key.name, lambda key: key.sha256),
)


@settings(max_examples=40)
@given(KEYS)
def test_what_is_written_is_read_back(keys: list[Key]) -> None:
    assert sorted(book.parse(book.text(keys)), key=lambda key: key.name) == sorted(keys, key=lambda key: key.name)


ALICE = Key("alice", "a" * 64, 1, None, 30, 2)
BOB = Key("bob", "b" * 64, 1, 9, 120, 2)


def test_each_content_has_a_name_of_its_own() -> None:
    texts = [book.text(keys) for keys in ((), (ALICE,), (ALICE, BOB), (BOB,))]
    assert len({book.digest(text) for text in texts}) == len(texts)
    assert all(f'default "{book.digest(text)}";' in text for text in texts)
    assert book.text((ALICE, BOB)) == book.text((BOB, ALICE))


def test_what_was_cut_off_or_changed_is_not_taken_for_the_keys() -> None:
    text = book.text((ALICE, BOB))
    for other in (text[: len(text) // 2], text.replace("alice", "mallory"), ""):
        with pytest.raises(ValueError, match="changed by somebody else"):
            book.parse(other)


def test_keys_of_one_limit_share_a_zone_and_none_shares_a_count() -> None:
    text = book.text((ALICE, BOB))
    assert "limit_req_zone $rate_30 zone=rate_30:1m rate=30r/m;\nlimit_req zone=rate_30 burst=29 nodelay;" in text
    assert "limit_req_zone $rate_120 zone=rate_120:1m rate=120r/m;" in text
    assert text.count("limit_conn ") == 1
    assert text.count('"alice" "alice";') == 2


def test_who_may_ask_every_other_second_is_told_to_wait_so_long() -> None:
    text = book.text((ALICE, BOB))
    assert '"alice" "2";' in text
    assert '"bob" "' not in text.partition("$retry_seconds")[2].partition("}")[0]


def test_one_request_a_minute_has_no_burst() -> None:
    assert "limit_req zone=rate_1;" in book.text((Key("slow", "c" * 64, 1, None, 1, 1),))
