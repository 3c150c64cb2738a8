"""A real gateway in front of real engines: nginx in a container as it is rendered, llama.cpp on this machine."""

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

from provisioner.documents import encode
from provisioner.model.actions import MakeCertificate
from provisioner.model.plan import Service
from provisioner.model.plugins import Place, Stack
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.phases import keys
from provisioner.services import gateway
from provisioner.targets import docker
from provisioner.world import certificates
from provisioner.world.database import locked
from tests.ports import free_port
from tests.unit.planning.samples import machine, plan
from tools import images

RELEASE = "0" * 64
STACK_KEY = "the-key-of-the-stack"


def image() -> str:
    """The nginx of the test bed, by the name that the container engine knows."""
    return images.image("nginx")


def bridge() -> str:
    """The address of this machine that every container reaches."""
    words = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@dataclass(frozen=True)
class Engine:
    """The embedded engine, where containers reach it."""

    service: Service
    address: str
    process: subprocess.Popen[bytes]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Whatever it has said by now is all that anybody gets."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


def wait_until(true: Any, what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@contextmanager
def engine(service: Service, model: str, slots: int = 2, context: int = 1024) -> Iterator[Engine]:
    """Serve a model under the name and the port of this service."""
    host = bridge()
    words = (
        "--model", model, "--alias", service.model_name, "--host", host, "--port", str(service.port),
        "--ctx-size", str(context), "--parallel", str(slots), "--api-key-file", service.key_file, "--n-gpu-layers", "0",
        "--threads", "1", "--threads-batch", "1", "--metrics",
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "provisioner.world.llamacpp", *words],
        stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    try:
        wait_until(lambda: _healthy(host, service.port), f"{service.name} does not get ready")
        yield Engine(service, host, process)
    finally:
        process.kill()
        process.wait(5)


def _healthy(host: str, port: int) -> bool:
    connection = HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def stack(state: Path, services: tuple[Service, ...], settings: Mapping[str, str] | None = None) -> Stack:
    place = Place(str(state), sys.executable, "", user_manager=False, owner=f"{os.geteuid()}:{os.getegid()}")
    with locked(str(state), "up") as store:
        store.activate(RELEASE)
    key_file = state / "secrets" / "llm.key"
    key_file.parent.mkdir()
    key_file.write_text(f"{STACK_KEY}\n")
    key_file.chmod(0o600)
    return Stack(
        engines=tuple(replace(one, key_file=str(key_file)) for one in services),
        place=place, host="127.0.0.1", port=free_port(), vendors=(), images={"gateway": image()},
        settings=settings or {}, wanted=frozenset({"gateway"}),
    )  # fmt: skip


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.document["error"]


@dataclass(frozen=True)
class Gateway:
    stack: Stack
    compose: tuple[str, ...]

    @property
    def keys_file(self) -> Path:
        return Path(gateway.keys_folder(self.stack.place)) / "keys.conf"

    def connection(self, seconds: float = 30.0) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=gateway.authority(self.stack.place))
        return HTTPSConnection("127.0.0.1", self.stack.port, timeout=seconds, context=context)

    def send(self, method: str, path: str, key: str | None = None, body: object = None) -> HTTPResponse:
        """Send a request on a connection of its own, which ends with the answer."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        wire = self.connection()
        wire.request(method, path, data, {**headers, "Content-Type": "application/json", "Connection": "close"})
        return wire.getresponse()

    def ask(self, method: str, path: str, key: str | None = None, body: object = None) -> Answer:
        with self.send(method, path, key, body) as response:
            return Answer(response.status, dict(response.getheaders()), response.read().decode())

    def chat(self, model: str, key: str | None, **more: Any) -> Answer:
        return self.ask("POST", "/v1/chat/completions", key, chat(model, **more))

    def create(self, name: str, rate: int | None = None, concurrency: int | None = None) -> str:
        """A key for somebody, which the gateway knows of by now."""
        made = keys.create(self.stack.place, name, rate, concurrency, None)
        assert made.in_force
        return made.secret

    def revoke(self, name: str) -> None:
        assert keys.revoke(self.stack.place, name).in_force

    def log(self) -> list[dict[str, Any]]:
        """Its access log so far."""
        words = [*self.compose, "logs", "--no-log-prefix", "gateway"]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    def words(self) -> str:
        done = subprocess.run([*self.compose, "logs", "gateway"], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr


def chat(model: str, tokens: int = 8, **more: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "the words that nobody logs"}]
    return {"messages": said, "model": model, "max_tokens": tokens, **more}


@contextmanager
def running(wanted: Stack, names: Mapping[str, str]) -> Iterator[Gateway]:
    """Start the gateway from its rendered project; `names` says where each engine is."""
    place = wanted.place
    for folder in (gateway.keys_folder(place), gateway.tls_folder(place)):
        Path(folder).mkdir(parents=True, exist_ok=True)
    certificates.make(MakeCertificate(gateway.tls_folder(place), ("localhost", "127.0.0.1")))
    containers = gateway.containers(wanted)
    planned = replace(plan(machine("2 cores, 16 GiB"), Spec("demo")), beside=containers)
    release = Path(place.release(RELEASE))
    files = gateway.files(wanted)
    written = (
        (release / "plan.json", json.dumps(encode(planned))),
        *((Path(place.live) / one.path, one.content) for one in files),
    )
    for path, content in written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    text = docker.compose(containers, place, {one.name: "" for one in containers})
    (release / "compose.yaml").write_text(text)
    hosts = [f"{name}:{address}" for name, address in names.items()]
    (release / "override.yaml").write_text(json.dumps({"services": {"gateway": {"extra_hosts": hosts}}}))
    (release / "live.env").write_text(f"{docker.LIVES}={place.live}\n")
    files_of = ("--env-file", str(release / "live.env"), "-f", str(release / "compose.yaml"))
    compose = ("docker", "compose", *files_of, "-f", str(release / "override.yaml"))
    here = Gateway(wanted, compose)
    try:
        subprocess.run([*compose, "up", "-d", "--pull", "never"], capture_output=True, check=True)
        deadline = time.monotonic() + 20
        while not _up(here):
            assert time.monotonic() < deadline, f"the gateway does not start: {here.words()}"
            time.sleep(0.05)
        yield here
    finally:
        subprocess.run([*compose, "down", "--timeout", "0"], capture_output=True, check=False)


def _up(here: Gateway) -> bool:
    try:
        return here.ask("GET", "/healthz").status == 200
    except OSError:
        return False
