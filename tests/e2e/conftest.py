"""What end-to-end tests share: the wheel, an environment it is installed in, a machine with systemd."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.components import SYSTEM_PYTHON, demand
from tests.e2e.containers import PROJECT, SYSTEMD, Container, started, wait_for_systemd
from tools import bootstrap, docker, machines


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("e2e")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this checkout, the way a release does."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@dataclass(frozen=True, slots=True)
class Installation:
    """An environment outside the checkout that holds nothing but the wheel and what it asks for."""

    folder: Path

    @property
    def provision(self) -> str:
        return str(self.folder / "bin" / "provision")

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.provision, *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=timeout,
        )  # fmt: skip


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Installation:
    demand("index", pytestconfig)
    return install(wheel, tmp_path_factory.mktemp("installation"), sys.executable)


@pytest.fixture(scope="session")
def for_everybody(wheel: Path, pytestconfig: pytest.Config) -> Iterator[Installation]:
    """Install where every user can reach it: the folders of pytest, and perhaps this interpreter, are for one user alone."""
    demand("index", pytestconfig)
    demand("system-python", pytestconfig)
    folder = Path(tempfile.mkdtemp(prefix="provision-for-everybody-"))
    folder.chmod(0o755)
    yield install(wheel, folder / "environment", SYSTEM_PYTHON)
    shutil.rmtree(folder)


def install(wheel: Path, folder: Path, python: str) -> Installation:
    """An environment of its own, with the versions of the lock."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True, capture_output=True)
    pip = bootstrap.find_pip(str(folder))
    pins = folder / "pins.txt"
    pins.write_text("".join(f"{line.removesuffix(chr(92)).strip()}\n" for line in _pins()))
    subprocess.run([*pip, "install", "--quiet", "-c", str(pins), f"{wheel}[embedded]"], check=True, capture_output=True)
    return Installation(folder)


def _pins() -> Iterator[str]:
    """Give the versions of the lock without their hashes: pip would ask for a hash of our own wheel, too."""
    for line in (PROJECT / "requirements.lock").read_text().splitlines():
        if line and line[0].isalnum():
            yield line


@pytest.fixture(scope="module")
def lab_host(wheel: Path, pytestconfig: pytest.Config) -> Iterator[Container]:
    """Start a machine with systemd as its first process, our wheel in /opt/provision, and no network at all."""
    demand("lab-host", pytestconfig)
    with started(machines.lab_image(), [*SYSTEMD, "--network=none"], ["/sbin/init"]) as host:
        wait_for_systemd(host)
        host.copy_in(wheel, f"/opt/{wheel.name}")
        host.run("/opt/provision/bin/pip", "install", "--quiet", "--no-deps", "--no-index", f"/opt/{wheel.name}")
        host.run("ln", "-s", "/opt/provision/bin/provision", "/usr/local/bin/provision")
        yield host


@pytest.fixture
def fresh_machine(pytestconfig: pytest.Config) -> Iterator[Container]:
    """Start a machine with Python and make and nothing else, on a network of its own."""
    demand("fresh-machine", pytestconfig)
    demand("index", pytestconfig)
    with started(machines.fresh_image(), docker.way_out(), ["sleep", "infinity"]) as machine:
        yield machine
