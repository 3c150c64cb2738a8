"""Services of a stack in real containers, as the target renders them, with a real engine beside them."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from provisioner.model.containers import Container, Mount, ReleaseFile
from provisioner.model.plan import Service
from provisioner.model.plugins import Place, Stack
from provisioner.model.record import replace
from provisioner.targets import docker
from provisioner.world import tinymodel
from tests.unit.services.samples import ENGINE
from tools import images

KEY = "the-key-of-this-stack"
MODEL = "tiny"
ENGINE_PORT = 8000


def stack(folder: Path, wanted: frozenset[str], images: Mapping[str, str], settings: Mapping[str, str]) -> Stack:
    """One of llama.cpp, whose state lies in a folder of the test's."""
    place = Place(str(folder / "state"), "python3", "", user_manager=False)
    secrets = folder / "state" / "secrets"
    secrets.mkdir(parents=True)
    (secrets / "llm.key").write_text(f"{KEY}\n")
    engine = replace(
        ENGINE, engine="llamacpp", model_name=MODEL, port=ENGINE_PORT, key_file=f"{place.state}/secrets/llm.key"
    )
    return Stack((engine,), place, "127.0.0.1", 8443, (), images, settings, wanted)


def engine(stack: Stack) -> Container:
    """llama.cpp's own server, with the demo's model."""
    (service,) = stack.engines
    path = Path(stack.place.state, "models", "tiny.gguf")
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        tinymodel.write(str(path))
    return Container(
        name=service.name,
        kind=service.engine,
        image=images.image("llamacpp"),
        argv=_command(service, path.name),
        secrets=(service.key_file,),
        mounts=(Mount(str(path.parent), "/models"),),
    )


def _command(service: Service, file: str) -> tuple[str, ...]:
    return (
        "/app/llama-server", "--model", f"/models/{file}", "--alias", service.model_name, "--host", "0.0.0.0", "--port",
        str(service.port), "--ctx-size", "2048", "--parallel", "2", "--threads", "1", "--api-key-file",
        "/run/secrets/llm.key", "--metrics",
    )  # fmt: skip


@dataclass(frozen=True)
class Running:
    folder: Path
    project: str

    def compose(self, *words: str) -> str:
        command = ["docker", "compose", "--file", f"{self.folder}/compose.yaml", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def address(self, name: str) -> str:
        """Where this host reaches a container that is published nowhere."""
        (container,) = json.loads(
            self._docker("inspect", self._docker("ps", "-q", "-f", f"name={self.project}-{name}-1"))
        )
        return str(next(iter(container["NetworkSettings"]["Networks"].values()))["IPAddress"])

    def inside(self, name: str, *command: str) -> str:
        return self.compose("exec", "--no-TTY", name, *command)

    def logs(self, name: str) -> str:
        return self.compose("logs", "--no-color", name)

    def wait_until_healthy(self, name: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while '"healthy"' not in self._docker(
            "inspect", "--format", "{{json .State.Health.Status}}", f"{self.project}-{name}-1"
        ):
            assert time.monotonic() < until, self.logs(name)[-5000:]
            time.sleep(1)

    def _docker(self, *words: str) -> str:
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=True).stdout.strip()


@contextmanager
def running(
    stack: Stack, containers: tuple[Container, ...], files: tuple[ReleaseFile, ...], folder: Path
) -> Iterator[Running]:
    """All of them, until the test is over; what they keep lies in the state and goes with the test's folder."""
    for mount in (mount for one in containers for mount in one.mounts if mount.writable):
        Path(mount.source).mkdir(parents=True, exist_ok=True)
    for file in files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    parts = {one.name: docker.part_of(one, files) for one in containers}
    (folder / "compose.yaml").write_text(docker.compose(containers, stack.place, parts))
    started = Running(folder, stack.place.project)
    try:
        started.compose("up", "--detach", "--pull", "never")
        yield started
    finally:
        started.compose("down", "--timeout", "3")
