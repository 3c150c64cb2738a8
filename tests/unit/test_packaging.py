"""What is shipped: locks without the name of an index, folders that the wheel maps, and layers that hold."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import provisioner

PROJECT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock", "tools/pip.lock")


def pins(lock: str) -> dict[str, list[str]]:
    """Each pinned requirement of a lock and its hashes."""
    text = (PROJECT / lock).read_text().replace("\\\n", " ")
    rows = [line.split("--hash=") for line in text.splitlines() if line and not line.startswith("#")]
    return {row[0].strip(): [one.strip() for one in row[1:]] for row in rows}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_pinned_with_hashes_and_no_index_is_named(lock: str) -> None:
    assert "://" not in (PROJECT / lock).read_text()
    for requirement, hashes in pins(lock).items():
        assert "==" in requirement
        assert hashes
        assert all(one.startswith("sha256:") and len(one) == 71 for one in hashes)


def test_the_development_lock_holds_all_of_the_other() -> None:
    """In the same versions; a marker may be wider there, where another package wants it as well."""
    plain, development = (
        {requirement.split(" ;")[0]: hashes for requirement, hashes in pins(lock).items()}
        for lock in ("requirements.lock", "requirements-dev.lock")
    )
    assert plain.items() <= development.items()


def test_the_package_that_taxes_every_start_is_not_among_them() -> None:
    assert not [name for name in pins("requirements-dev.lock") if name.startswith("pynvml==")]


def test_every_declared_dependency_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    locked = {name.split("==")[0].lower() for name in pins("requirements-dev.lock")}
    for wanted in (*project["dependencies"], *(one for extra in extras.values() for one in extra)):
        assert wanted.split(">=")[0].lower() in locked


def test_the_folders_beside_the_package_travel_inside_it() -> None:
    wheel = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for folder in ("charts", "inventories", "playbooks", "templates"):
        assert wheel["force-include"][folder] == f"provisioner/{folder}"
        assert (PROJECT / folder).is_dir()


def test_the_version_is_a_constant() -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "provisioner", "--version"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert asked.stdout == f"provision {provisioner.__version__}\n"


def test_a_forbidden_import_breaks_its_contract(tmp_path: Path) -> None:
    """The contracts see what they forbid: one package that breaks four of them."""
    files = {
        "model/bad.py": "import provisioner.world",
        "checks/bad.py": "import subprocess",
        "targets/bad.py": "import provisioner.checks.bad",
        "planning/bad.py": "def read() -> None:\n    import argparse",
    }
    for folder in (
        "",
        "accelerators",
        "checks",
        "engines",
        "facts",
        "model",
        "planning",
        "services",
        "targets",
        "world",
    ):
        (tmp_path / "provisioner" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "provisioner" / folder / "__init__.py").touch()
    for name in ("errors.py", "documents.py"):
        (tmp_path / "provisioner" / name).touch()
    for name, text in files.items():
        (tmp_path / "provisioner" / name).write_text(text + "\n")
    (tmp_path / "pyproject.toml").write_text((PROJECT / "pyproject.toml").read_text())
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    linted = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert linted.returncode == 1
    for broken in ("provisioner.model.bad -> provisioner.world", "provisioner.checks.bad -> subprocess",
                   "provisioner.targets.bad -> provisioner.checks.bad", "provisioner.planning.bad -> argparse"):  # fmt: skip
        assert broken in linted.stdout
