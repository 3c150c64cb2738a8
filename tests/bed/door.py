"""What stands behind a gateway under test besides real engines: sockets and containers that say what they were told to say."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.bed.gateway import Engine, Gateway, chat, image

GONE = "gone"
"""A model whose engine is planned and not there."""


@dataclass(frozen=True)
class Bed:
    gateway: Gateway
    tiny: Engine
    other: Engine


def begin(bed: Bed, key: str, tokens: int = 1500) -> HTTPResponse:
    """A stream that takes the engine a second at least, with its first chunk read."""
    response = bed.gateway.send(
        "POST", "/v1/chat/completions", key, chat("demo-tiny", tokens, stream=True, ignore_eos=True)
    )
    assert response.status == 200
    assert response.readline().startswith(b"data: ")
    return response


def rest(response: HTTPResponse) -> bytes:
    with response:
        return response.read()


class Reused(ThreadingTCPServer):
    allow_reuse_address = True


@contextmanager
def in_its_place(bed: Bed, answer: tuple[bytes, ...]) -> Iterator[list[bytes]]:
    """At the port of an engine that is gone: whoever reads a request, sends these pieces, and hangs up; the requests that came."""
    came: list[bytes] = []

    class Hands(StreamRequestHandler):
        def handle(self) -> None:
            head = b"".join(iter(self.rfile.readline, b"\r\n"))
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            came.append(head + b"\r\n" + self.rfile.read(length))
            for piece in answer:
                self.wfile.write(piece)
                time.sleep(0.05)

    port = bed.gateway.stack.engines[3].port
    with Reused((bed.tiny.address, port), Hands) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        try:
            yield came
        finally:
            server.shutdown()


@contextmanager
def container(project: str, name: str, port: int, says: str) -> Iterator[None]:
    """A container of this name beside the gateway, which answers every request with the values of these variables of nginx."""
    server = f"server {{ listen {port}; location / {{ return 200 '{says}'; }} }}"
    conf = f"pid /tmp/pid; error_log stderr; events {{}} http {{ access_log off; {server} }}"
    script = f"cat >/tmp/conf <<'END'\n{conf}\nEND\nexec nginx -c /tmp/conf -g 'daemon off;'"
    words = ["docker", "run", "--detach", "--rm", "--network", f"{project}_inside", "--network-alias", name]
    started = subprocess.run([*words, image(), "sh", "-c", script], capture_output=True, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "rm", "--force", started.stdout.strip()], capture_output=True, check=True)
