"""Unit tests do not leave the machine: a connection to anything but loopback is an error, whoever opens it."""

import sys
from collections.abc import Iterator

import pytest

LOOPBACK = ("127.", "::1", "localhost")


class Fence:
    """An audit hook cannot be taken away again, so one stays for the whole run and is raised around each test."""

    def __init__(self) -> None:
        self.up = False
        sys.addaudithook(self._watch)

    def _watch(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.up or event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
            return
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        on_network = event == "socket.getaddrinfo" or isinstance(address, tuple)
        if on_network and host is not None and not str(host).startswith(LOOPBACK):
            raise RuntimeError(f"a unit test wants to talk to {host}")


@pytest.fixture(scope="session")
def fence() -> Fence:
    return Fence()


@pytest.fixture(autouse=True)
def no_network(fence: Fence) -> Iterator[None]:
    fence.up = True
    yield
    fence.up = False
