"""The wheel holds all that the program needs: the journey works from it alone, outside the checkout."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import Installation
from tests.e2e.containers import PROJECT, Container


def test_the_wheel_holds_what_the_program_reads_and_nothing_of_the_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "provisioner", "templates", "charts", "playbooks", "inventories"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    missing = [path for path in tracked if path.removeprefix("provisioner/") not in _inside(names)]
    assert missing == []
    assert not [name for name in names if name.startswith(("tests/", "provisioner/tests", "tools/"))]
    assert [name for name in names if name.endswith(".data/scripts/provision")]
    assert [name for name in names if name.endswith("/LICENSE")]


def _inside(names: set[str]) -> set[str]:
    return {name.removeprefix("provisioner/") for name in names}


@pytest.mark.needs("index")
def test_the_start_script_brings_no_imports_of_its_own(installed: Installation) -> None:
    assert _imports(installed, installed.provision) <= {"provisioner", "provisioner.__main__"}


@pytest.mark.needs("lab-host")
def test_an_old_pip_does_not_wrap_the_start_script(lab_host: Container) -> None:
    assert lab_host.run("/opt/provision/bin/pip", "--version").stdout.startswith("pip 23.")
    script = lab_host.run("cat", "/opt/provision/bin/provision").stdout.splitlines()
    assert script[0].startswith("#!/opt/provision/bin/python")
    assert script[1:] == (PROJECT / "bin/provision").read_text().splitlines()[1:]


def _imports(installed: Installation, script: str) -> set[str]:
    """Name the modules that the script imports and a bare Python does not."""
    python = str(installed.folder / "bin" / "python")

    def imported(*command: str) -> set[str]:
        timed = subprocess.run([python, "-X", "importtime", *command], capture_output=True, text=True, check=True)
        return {line.rsplit("|", 1)[1].strip() for line in timed.stderr.splitlines() if "|" in line}

    return imported(script, "--version") - imported("-c", "pass")


@pytest.mark.needs("index", "embedded")
@pytest.mark.slow
def test_the_journey_from_the_wheel(installed: Installation, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path / "state"))
    up = installed.run("--profile", "demo", *state)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert "http://127.0.0.1:" in up.stdout
        again = installed.run("--profile", "demo", *state)
        assert again.returncode == 0, again.stdout + again.stderr
        check = installed.run("check", *state)
        assert check.returncode == 0, check.stdout + check.stderr
    finally:
        down = installed.run("down", "--purge", *state)
    assert down.returncode == 0, down.stdout + down.stderr
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
