"""The container engine, asked through its socket: a few GET requests, no library."""

import os

from provisioner.model.facts import Answers, CannotAsk, NotThere, Unknown

SECONDS = 3.0
LARGEST_ANSWER = 8 << 20
SOCKETS = ("/var/run/docker.sock", "/run/user/{uid}/docker.sock")
NAMED = "DOCKER_HOST"
"""Docker's own variable: what its commands talk to is what is asked here."""
SOCKET = "unix://"


def answer(paths: tuple[str, ...], sockets: tuple[str, ...] | None = None) -> Answers:
    """Each path's JSON body, from the socket that is named, else the first that is there."""
    places = sockets if sockets is not None else _sockets()
    place = next((path for path in places if os.path.exists(path)), None)
    if place is None:
        raise NotThere("no Docker socket")
    answers: dict[str, str | Unknown] = {}
    for path in paths:
        try:
            answers[path] = get(place, path)
        except (OSError, ValueError) as error:
            raise CannotAsk(f"{place}: {getattr(error, 'strerror', None) or error}") from None
    return answers


def _sockets() -> tuple[str, ...]:
    named = os.environ.get(NAMED, "")
    if named and not named.startswith(SOCKET):
        raise CannotAsk(f"{NAMED} is {named}, and only a socket of this machine is asked")
    return (named.removeprefix(SOCKET),) if named else tuple(path.format(uid=os.getuid()) for path in SOCKETS)


def get(place: str, path: str) -> str | Unknown:
    """The body of one GET request; HTTP/1.0, so that the engine closes the connection behind it."""
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(SECONDS)
        connection.connect(place)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: docker\r\nAccept: application/json\r\n\r\n".encode())
        received = bytearray()
        while piece := connection.recv(1 << 16):
            received += piece
            if len(received) > LARGEST_ANSWER:
                raise ValueError(f"the answer to {path} is larger than {LARGEST_ANSWER >> 20} MiB")
    return _body(bytes(received), path)


def _body(received: bytes, path: str) -> str | Unknown:
    head, blank, body = received.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not blank or len(status) < 2:
        raise ValueError(f"the answer to {path} is not HTTP")
    if status[1] != b"200":
        return Unknown(f"{path} was answered with status {status[1].decode('latin-1')}")
    return body.decode("utf-8", "replace")
