"""The kernel's topics, the firmware's table, the engine's socket, and calls that never return."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.facts import CannotAsk, NotThere, Unknown
from provisioner.world import dmi, docker, kernel
from provisioner.world.patience import Overdue, call, call_all


def test_topics() -> None:
    answers = kernel.answer(
        ("uname", "clock", "user", "runtime", "addresses", "statvfs:/", "statvfs:/nowhere/at/all", "colour")
    )
    assert json.loads(text(answers["uname"]))["release"] == os.uname().release
    assert abs(json.loads(text(answers["clock"]))["unix"] - time.time()) < 5
    assert json.loads(text(answers["user"]))["uid"] == os.getuid()
    assert json.loads(text(answers["runtime"]))["python"] == sys.executable
    assert json.loads(text(answers["addresses"])).get("lo") == "127.0.0.1"
    assert json.loads(text(answers["statvfs:/"]))["total"] > 0
    assert answers["statvfs:/nowhere/at/all"] == Unknown("No such file or directory")
    assert answers["colour"] == Unknown("the kernel is not asked about 'colour'")


def text(value: str | Unknown) -> str:
    assert isinstance(value, str)
    return value


def structure(kind: int, body: bytes, *texts: str) -> bytes:
    return (
        bytes([kind, 4 + len(body), 0, 0])
        + body
        + b"".join(t.encode() + b"\0" for t in texts)
        + (b"\0" if texts else b"\0\0")
    )


def module(size: int, speed: int, configured: int) -> bytes:
    body = bytearray(0x24)
    body[0x08:0x0A] = size.to_bytes(2, "little")
    body[0x0C], body[0x0D] = 1, 2
    body[0x11:0x13] = speed.to_bytes(2, "little")
    body[0x18:0x1C] = (65536).to_bytes(4, "little")
    body[0x1C:0x1E] = configured.to_bytes(2, "little")
    return structure(17, bytes(body), "DIMM_A1", "P0 CHANNEL A", "MAKER", "SERIAL-12345")


def test_memory_modules_without_their_serial_numbers() -> None:
    table = (
        structure(1, b"\0" * 8)
        + module(16384, 5600, 4800)
        + module(0, 0, 0)
        + module(0x7FFF, 5600, 0)
        + structure(127, b"")
    )
    first, second = dmi.memory_devices(table)
    assert first == {"locator": "DIMM_A1", "bank": "P0 CHANNEL A", "size_bytes": 16 << 30, "mega_transfers": 4800}
    assert (second["size_bytes"], second["mega_transfers"]) == (64 << 30, 5600)


@given(st.binary(max_size=300))
def test_any_table_is_understood(table: bytes) -> None:
    assert isinstance(dmi.memory_devices(table), list)


@contextmanager
def engine(place: Path, *answers: bytes) -> Iterator[str]:
    """A socket that gives these answers, one a connection."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(place))
    server.listen()

    def serve() -> None:
        for answer in answers:
            connection, _ = server.accept()
            connection.recv(4096)
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield str(place)
    thread.join(5)
    server.close()


OK = b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


def test_the_engine_is_asked(tmp_path: Path) -> None:
    with engine(tmp_path / "d.sock", OK + b'{"Version": "28"}', b"HTTP/1.0 500 Oh\r\n\r\n{}") as place:
        found = docker.answer(("/version", "/info"), ("/nowhere/docker.sock", place))
    assert found == {"/version": '{"Version": "28"}', "/info": Unknown("/info was answered with status 500")}


def test_an_engine_that_speaks_otherwise_is_told(tmp_path: Path) -> None:
    with engine(tmp_path / "d.sock", b"hello") as place, pytest.raises(CannotAsk, match="not HTTP"):
        docker.answer(("/version",), (place,))


def test_a_socket_that_nobody_serves_is_told(tmp_path: Path) -> None:
    place = tmp_path / "d.sock"
    lone = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    lone.bind(str(place))
    lone.close()
    with pytest.raises(CannotAsk, match=r"d\.sock: Connection refused"):
        docker.answer(("/version",), (str(place),))


def test_without_a_socket_there_is_no_engine(tmp_path: Path) -> None:
    with pytest.raises(NotThere):
        docker.answer(("/version",), (str(tmp_path / "none.sock"),))


def test_calls_that_never_return_are_given_up() -> None:
    def slowly() -> int:
        time.sleep(20)
        return 2

    begin = time.monotonic()
    quick, slow = call_all([lambda: 1, slowly], 0.2)
    assert (quick, slow) == (1, Overdue(0.2))
    assert time.monotonic() - begin < 2


def test_what_a_call_raises_is_raised_to_who_asked() -> None:
    def fail() -> int:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        call(fail, 1.0)
