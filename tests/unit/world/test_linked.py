"""What a compiled module needs, from its header: held against readelf, and against files that lie."""

import os
import shutil
import struct
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.world.linked import needed


def elf(*libraries: str) -> bytes:
    """The smallest file that needs these libraries: a header, two parts, a dynamic table, the names."""
    names = b"\0" + b"".join(library.encode() + b"\0" for library in libraries)
    starts = [names.index(library.encode()) for library in libraries]
    entries = [(1, start) for start in starts] + [(5, 0x1000 + 64 + 112 + 16 * (len(libraries) + 2)), (0, 0)]
    dynamic = b"".join(struct.pack("<qQ", tag, value) for tag, value in entries)
    size = 64 + 112 + len(dynamic) + len(names)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0x1000, 0x1000, size, size, 4096)
    part = struct.pack("<IIQQQQQQ", 2, 4, 176, 0x1000 + 176, 0, len(dynamic), len(dynamic), 8)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2) + bytes(6)
    return head + load + part + dynamic + names


def put(folder: object, data: bytes) -> str:
    path = f"{folder}/module.so"
    with open(path, "wb") as file:
        file.write(data)
    return path


def test_a_module_that_is_linked_with_cuda(tmp_path: object) -> None:
    assert needed(put(tmp_path, elf("libcudart.so.12", "libcuda.so.1"))) == ("libcudart.so.12", "libcuda.so.1")


def test_this_interpreter_as_readelf_sees_it() -> None:
    if not shutil.which("readelf"):
        pytest.skip("the program `readelf` is not installed")
    path = os.path.realpath(sys.executable)
    told = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    theirs = [line.rpartition("[")[2].rstrip("]") for line in told.splitlines() if "(NEEDED)" in line]
    assert list(needed(path)) == theirs


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 400))
def test_damaged_files(tmp_path: object, changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(elf("libcuda.so.1", "libc.so.6"))
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        needed(put(tmp_path, bytes(data[: max(end, 1)])))
    except ValueError:
        return
