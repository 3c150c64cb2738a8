"""A missing component skips by name, or fails when it is required."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.components import COMPONENTS, required

PROJECT = Path(__file__).parents[2]
NEEDS_A_CARD = """
import pytest
from tests import components

components.COMPONENTS["gpu"] = lambda: "there is no card"

@pytest.mark.needs("gpu")
def test_a_card() -> None:
    raise AssertionError("this must not run")
"""


def test_nothing_is_required_by_itself() -> None:
    assert required({}) == frozenset()


def test_all_leaves_out_what_no_script_can_bring() -> None:
    assert required({"PROVISION_REQUIRE": "all"}) == COMPONENTS.keys() - {"gpu"}
    assert "gpu" in required({"PROVISION_REQUIRE": "all,gpu"})


def test_a_misspelt_component_is_an_error() -> None:
    with pytest.raises(ValueError, match="dokcer"):
        required({"PROVISION_REQUIRE": "strace,dokcer"})


@pytest.mark.parametrize(
    ("wanted", "outcome"),
    [
        ("", "1 skipped"),
        ("gpu", "1 error"),
    ],
)
def test_a_missing_component_skips_or_fails(tmp_path: Path, wanted: str, outcome: str) -> None:
    (tmp_path / "test_card.py").write_text(NEEDS_A_CARD)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", f"{PROJECT}/pyproject.toml", str(tmp_path)]
    environment = {**os.environ, "PROVISION_REQUIRE": wanted}
    result = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert outcome in result.stdout
    assert "there is no card" in result.stdout
