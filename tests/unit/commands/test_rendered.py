"""The help that is shown without importing anything is the one that the live table makes."""

import os
from collections.abc import Callable

import pytest

import provisioner
from provisioner.commands.rendered import page, top_help
from provisioner.views.layout import columns
from tests.program import run

KEPT = os.path.join(os.path.dirname(provisioner.__file__), "help.txt")
PAGE = os.path.join(os.path.dirname(__file__), "../../../docs/reference/commands.md")


@pytest.mark.parametrize(("path", "made"), [(KEPT, top_help), (PAGE, page)])
def test_what_is_kept_is_what_the_live_table_makes(path: str, made: Callable[[], str]) -> None:
    if os.environ.get("GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(made())
    with open(path, encoding="utf-8") as stream:
        assert stream.read() == made(), "renew it: python -m provisioner.commands.rendered --write"


def test_every_way_to_ask_for_it_gives_the_same() -> None:
    assert {run(*words).out for words in (("--help",), ("-h",), ("help",), ("--json", "--help"))} == {top_help()}


def test_it_is_not_wider_than_a_wide_terminal() -> None:
    assert max(map(columns, top_help().splitlines())) <= 100
