"""A network for a browser alone: whatever comes and goes on the machine's own, it sees nothing change.

Chromium gives up what it loads whenever an interface gets or loses an address, and containers beside it do that all the time.
"""

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

INSIDE = """
import fcntl, socket, struct, sys
wire = socket.socket(fileno=int(sys.argv[1]))
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))
door = socket.create_server(("127.0.0.1", 0))
socket.send_fds(wire, [b"."], [door.fileno()])
sys.stdin.read()
"""
"""Brings the loopback up (SIOCSIFFLAGS: up, running), hands out a socket that listens there, and keeps the network as long as it lives."""


@dataclass(frozen=True, slots=True)
class Network:
    pid: int
    proxy: str
    """As the browser names it: SOCKS, so that addresses of every kind lead through it."""

    def program(self, folder: Path, wanted: str) -> str:
        """A program that is this one, inside."""
        path = folder / "inside"
        path.write_text(f'#!/bin/sh\nexec nsenter --net=/proc/{self.pid}/ns/net {wanted} "$@"\n')
        path.chmod(0o755)
        return str(path)


@contextmanager
def network() -> Iterator[Network]:
    """One whose only way out leads to this machine's loopback, by a door that this process minds."""
    ours, theirs = socket.socketpair()
    words = ["unshare", "--net", sys.executable, "-c", INSIDE, str(theirs.fileno())]
    with ours, subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()]) as keeper:
        theirs.close()
        try:
            _, (door,), _, _ = socket.recv_fds(ours, 1, 1)
            with socket.socket(fileno=door) as listening:
                threading.Thread(target=_mind, args=(listening,), daemon=True).start()
                yield Network(keeper.pid, f"socks5://127.0.0.1:{listening.getsockname()[1]}")
                listening.shutdown(socket.SHUT_RDWR)
        finally:
            keeper.kill()


def _mind(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_serve, args=(listening.accept()[0],), daemon=True).start()


def _serve(client: socket.socket) -> None:
    """SOCKS 5 without names and passwords (RFC 1928): a greeting, then where to."""
    with client, contextlib.suppress(OSError, EOFError):
        _take(client, _take(client, 2)[1])
        client.sendall(b"\x05\x00")
        _, _, _, kind = _take(client, 4)
        host = socket.inet_ntoa(_take(client, 4)) if kind == 1 else _take(client, _take(client, 1)[0]).decode()
        port = int.from_bytes(_take(client, 2), "big")
        with socket.create_connection((host, port), timeout=10) as beyond:
            beyond.settimeout(None)
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=_pass_on, args=(beyond, client), daemon=True)
            back.start()
            _pass_on(client, beyond)
            back.join()


def _take(client: socket.socket, count: int) -> bytes:
    found = client.recv(count, socket.MSG_WAITALL)
    if len(found) < count:
        raise EOFError
    return found


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            sink.sendall(piece)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
