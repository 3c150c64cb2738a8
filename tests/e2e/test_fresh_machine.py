"""A machine with Python and nothing else: `make run` ends with a proved endpoint, for root and for an ordinary user."""

import subprocess
from pathlib import Path

import pytest

from tests.e2e.containers import PROJECT, Container

pytestmark = [pytest.mark.needs("fresh-machine", "index"), pytest.mark.slow]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the files of this checkout as git would hand them to somebody else."""
    archive = tmp_path_factory.mktemp("checkout") / "provision.tar"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT, capture_output=True, check=True,
    ).stdout  # fmt: skip
    present = b"\0".join(name for name in listed.split(b"\0") if name and (PROJECT / name.decode()).exists())
    subprocess.run(["tar", "-cf", str(archive), "--null", "-T", "-"], cwd=PROJECT, input=present, check=True)
    return archive


@pytest.mark.timeout(600)
@pytest.mark.parametrize("user", ["root", "worker"])
def test_make_run(fresh_machine: Container, checkout: Path, user: str) -> None:
    home = _home_with_checkout(fresh_machine, checkout, user)

    first = fresh_machine.run("make", "run", user=user, folder=home, timeout=400)
    assert "http://127.0.0.1:" in first.stdout
    status = fresh_machine.run(".venv/bin/provision", "check", user=user, folder=home)
    assert status.stdout

    # What is installed once works with every route cut.
    fresh_machine.run(".venv/bin/provision", "down", "--purge", user=user, folder=home)
    fresh_machine.cut_the_network()
    second = fresh_machine.run("make", "run", user=user, folder=home)
    assert "http://127.0.0.1:" in second.stdout
    assert "installing" not in second.stderr
    fresh_machine.run(".venv/bin/provision", "down", "--purge", user=user, folder=home)


def test_without_a_network_the_set_up_says_what_to_do(fresh_machine: Container, checkout: Path) -> None:
    home = _home_with_checkout(fresh_machine, checkout, "root")
    fresh_machine.cut_the_network()
    refused = fresh_machine.run("make", "run", folder=home, check=False)
    assert refused.returncode != 0
    assert "had to be fetched" in refused.stderr
    assert "fix: name an index that can be reached" in refused.stderr
    assert "Traceback" not in refused.stderr


def _home_with_checkout(machine: Container, checkout: Path, user: str) -> str:
    if user != "root":
        machine.run("useradd", "--create-home", user)
    home = f"/root/{checkout.stem}" if user == "root" else f"/home/{user}/{checkout.stem}"
    machine.run("mkdir", home, user=user)
    machine.copy_in(checkout, "/checkout.tar")
    machine.run("tar", "-C", home, "--no-same-owner", "-xf", "/checkout.tar", user=user)
    return home
