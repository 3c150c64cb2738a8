"""CONTRIBUTING.md and the page it points to are followed to the letter: its files are written, its changes made, its commands run, on a copy."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "CONTRIBUTING.md").read_text()
RECIPES = {
    **{part.splitlines()[0]: part for part in PAGE.split("\n## ")[1:]},
    "Add a target": (PROJECT / "docs/adding-a-target.md").read_text(),
}
COPIED = ("provisioner", "templates", "pyproject.toml")

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of the page: `python PATH` and `text PATH` are files, `diff PATH` changes one, `sh` is run."""

    language: str
    path: str
    text: str


def blocks(recipe: str) -> Iterator[Block]:
    parts = recipe.split("```")[1::2]
    for part in parts:
        head, _, text = part.partition("\n")
        language, _, path = head.partition(" ")
        yield Block(language, path, text)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / name)
    return tmp_path


def follow(recipe: str, copy: Path) -> list[str]:
    """Do what the recipe says, and return what its commands print."""
    printed = []
    for block in blocks(recipe):
        path = copy / block.path
        if block.language == "sh":
            printed.append(run(copy, "sh", "-e", "-c", block.text))
        elif block.language == "diff":
            path.write_text(changed(path.read_text(), block.text))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    return printed


def changed(text: str, difference: str) -> str:
    """Insert the lines marked `+` after the lines before them, which must be there exactly once."""
    for hunk in difference.split("@@\n"):
        lines = hunk.splitlines()
        known = "\n".join(line[1:] for line in lines if line.startswith(" "))
        new = "\n".join(line[1:] for line in lines)
        assert text.count(f"\n{known}\n") == 1, f"{known!r} is not there once"
        text = text.replace(f"\n{known}\n", f"\n{new}\n")
    return text


def run(copy: Path, *command: str) -> str:
    folder = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "XDG_STATE_HOME": str(copy / "state")}
    result = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_the_page_fits_its_hundred_lines() -> None:
    assert len(PAGE.splitlines()) <= 100


def test_the_page_has_the_four_recipes() -> None:
    assert list(RECIPES) == ["Add a fact", "Add an engine", "Add a check", "Add a target"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works_as_it_stands(name: str, copy: Path) -> None:
    (printed,) = follow(RECIPES[name], copy)
    assert printed


def test_all_recipes_together_keep_the_rules(copy: Path) -> None:
    for recipe in RECIPES.values():
        follow(recipe, copy)
    run(copy, "ruff", "check", "provisioner")
    run(copy, "lint-imports", "--no-cache")
    run(copy, "mypy", "provisioner")
