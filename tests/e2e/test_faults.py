"""What befalls a stack that runs: each fault is told by its name, and healed or reported."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provisioner.world import containers
from tests.e2e.stack import Stack
from tools import images

pytestmark = [pytest.mark.needs("compose", "llamacpp", "gateway"), pytest.mark.timeout(300)]


def gated(folder: Path, *more: str) -> Stack:
    """An engine, and the gateway before it."""
    own = ("--set", f"image={images.image('llamacpp')}", "--set", f"gateway.image={images.image('nginx')}")
    planned = ("--profile", "demo", *own, "--no-monitoring", "--set", "openwebui=no", *more)
    return Stack(str(folder / "state"), planned=planned)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = gated(tmp_path)
    yield stack
    stack.end()


def found(stack: Stack, verb: str, *more: str, code: int) -> set[str]:
    return {finding["id"] for finding in stack.json(verb, *more, code=code)["findings"]}


def process_of(stack: Stack, service: str) -> int:
    (one,) = (one for one in containers.running(stack.state) if one.service == service)
    return one.pid


def question(tokens: int) -> str:
    asked = {"model": "demo-tiny", "stream": True, "max_tokens": tokens}
    return json.dumps({**asked, "messages": [{"role": "user", "content": "Count."}]})


@contextmanager
def begun(stack: Stack, tokens: int) -> Iterator[http.client.HTTPResponse]:
    """A stream of which the first piece has come."""
    trusted = ssl.create_default_context(cafile=stack.door.authority)
    wire = http.client.HTTPSConnection("127.0.0.1", stack.published, timeout=20, context=trusted)
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    wire.request("POST", "/v1/chat/completions", question(tokens), headers)
    response = wire.getresponse()
    try:
        assert response.readline().startswith(b"data: ")
        yield response
    finally:
        wire.close()


def eventually(stack: Stack, seconds: float = 30) -> None:
    """All is well again, by itself."""
    deadline = time.monotonic() + seconds
    while stack.run("check").returncode:
        assert time.monotonic() < deadline, stack.run("check").stdout


def test_a_gateway_that_dies_while_it_streams_comes_back_and_the_engine_is_not_harmed(stack: Stack) -> None:
    stack.ok("up")
    engine = stack.of("llm")["State"]["StartedAt"]
    with begun(stack, 1000) as response:
        os.kill(process_of(stack, "gateway"), signal.SIGKILL)
        began = time.monotonic()
        with suppress(OSError, http.client.HTTPException):
            assert not response.read().rstrip().endswith(b"data: [DONE]")
    assert time.monotonic() - began < 5
    eventually(stack)
    assert stack.of("llm")["State"]["StartedAt"] == engine
    with begun(stack, 8) as response:
        assert response.read().rstrip().endswith(b"data: [DONE]")


def test_a_port_that_is_stolen_while_the_stack_runs_is_named_and_it_heals_when_it_is_free(stack: Stack) -> None:
    stack.ok("up")
    thief = socket.socket()
    with thief:
        steal(thief, stack)
        deadline = time.monotonic() + 20
        while f"somebody else took its port, 127.0.0.1:{stack.published}" not in str(stack.containers()):
            assert time.monotonic() < deadline, stack.of("gateway")["State"]
        assert found(stack, "check", code=1) >= {"containers-run"}
        refused = stack.run("up")
        assert refused.returncode == 3, refused.stderr
        assert f"port {stack.published} is taken by" in refused.stderr
    stack.ok("up")
    assert stack.json("check")["findings"] == []


def steal(thief: socket.socket, stack: Stack) -> None:
    """Docker gives up a port for the moment between a container's end and its next start, and takes longer each time."""
    deadline = time.monotonic() + 30
    while True:
        pid = process_of(stack, "gateway")
        if pid:
            os.kill(pid, signal.SIGKILL)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            try:
                thief.bind(("127.0.0.1", stack.published))
                thief.listen()
            except OSError:
                time.sleep(0.002)
            else:
                return
        assert time.monotonic() < deadline, "the port is never free"


def signed(folder: Path, seconds: float, by: Path | None = None) -> tuple[Path, Path]:
    """A certificate for this host that ends in so many seconds, and its key; `by`: the file of who vouches for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    vouching = by.read_bytes() if by else b""
    issuer = x509.load_pem_x509_certificate(vouching).subject if by else subject
    signer = serialization.load_pem_private_key(vouching, None) if by else key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(seconds=seconds))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    kinds = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    paths = folder / "own.pem", folder / "own.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(*kinds))
    return paths


def until_expired(stack: Stack, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while "certificate" not in {one["id"] for one in stack.json("status")["findings"] if one["level"] == "error"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_our_own_certificate_that_expired_is_named_and_the_next_run_renews_it(stack: Stack, tmp_path: Path) -> None:
    stack.ok("up")
    assert stack.json("status")["findings"] == []
    tls = Path(stack.state, "secrets", "tls")
    certificate, key = signed(tmp_path, 2, by=tls / "ca.pem")
    beside = tls / "served" / "new"
    beside.write_bytes(key.read_bytes() + certificate.read_bytes())
    beside.replace(tls / "served" / "server.pem")
    until_expired(stack, 60)
    deadline = time.monotonic() + 30  # The gateway looks for another certificate twice a second.
    while not {"certificate", "answers-beside"} <= found(stack, "check", code=1):
        assert time.monotonic() < deadline
    assert "certificate" in {one["id"] for one in stack.json("doctor", code=3)["findings"]}
    engine = stack.of("llm")["State"]["StartedAt"]
    assert stack.json("up")["changed"] is True
    assert (stack.json("check")["findings"], stack.json("status")["findings"]) == ([], [])
    assert stack.of("llm")["State"]["StartedAt"] == engine, "for a certificate nothing is started again"


def test_the_operators_certificate_is_spoken_of_and_taken_in_when_it_was_renewed(tmp_path: Path) -> None:
    certificate, key = signed(tmp_path, 20 * 86400)
    own = ("--set", f"gateway.certificate={certificate}", "--set", f"gateway.certificate_key={key}")
    stack = gated(tmp_path, *own)
    try:
        assert found(stack, "up", code=0) >= {"certificate"}
        (told,) = (one for one in stack.json("check")["findings"] if one["id"] == "certificate")
        assert (told["level"], str(certificate) in told["fix"]) == ("warning", True)

        signed(tmp_path, 1)
        Path(stack.state, "secrets", "tls", "served", "server.pem").write_bytes(
            key.read_bytes() + certificate.read_bytes()
        )
        until_expired(stack, 60)
        (told,) = (one for one in stack.json("check", code=1)["findings"] if one["id"] == "certificate")
        assert told["level"] == "error"
        refused = stack.run("up")
        assert (refused.returncode, "expired on" in refused.stderr) == (3, True), refused.stderr

        signed(tmp_path, 300 * 86400)
        stack.ok("up")
        assert stack.json("check")["findings"] == []
    finally:
        stack.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", str(disk)], check=True, capture_output=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True, capture_output=True)


@pytest.mark.needs("root")
def test_a_disk_that_is_full_is_named_and_nothing_is_half_written(small_disk: Path) -> None:
    stack = gated(small_disk)
    try:
        refused = stack.run("up")
        assert refused.returncode == 3, refused.stderr
        assert "disk_space" in refused.stderr or "are needed" in refused.stderr
        assert not os.path.exists(stack.state)

        subprocess.run(["mount", "-o", "remount,size=800m", str(small_disk)], check=True, capture_output=True)
        stack.ok("up")
        before = stack.snapshot()
        fill(small_disk)
        assert "disk_filling" in {one["id"] for one in stack.json("status")["findings"]}
        assert "disk_filling" in {one["id"] for one in stack.json("doctor", code=3)["findings"]}
        assert stack.json("check")["findings"] == [], "what stands goes on"
        for verb in (("up", "--concurrency", "1"), ("down",)):
            refused = stack.run(*verb)
            assert (refused.returncode, "no space is left" in refused.stderr) == (1, True), refused.stderr
        assert (stack.snapshot(), set(stack.containers().values())) == (before, {"running"})
        (small_disk / "full").unlink()
        stack.ok("down", "--purge")
        assert stack.containers() == {}
    finally:
        stack.end()


def fill(disk: Path) -> None:
    """To the last byte."""
    with suppress(OSError), open(disk / "full", "wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 20))
