"""Which shared libraries a compiled module needs, read from its ELF header: a few hundred bytes, and nothing is loaded."""

import os

PT_LOAD, PT_DYNAMIC = 1, 2
DT_NEEDED, DT_STRTAB = 1, 5
MOST = 1 << 20
"""No table that is read here is larger; a file that claims otherwise is not understood."""


def needed(path: str) -> tuple[str, ...]:
    """The names as the linker wrote them (`libcudart.so.12`); ValueError when the file is no 64-bit ELF."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return _needed(descriptor)
    finally:
        os.close(descriptor)


def _needed(file: int) -> tuple[str, ...]:
    head = os.pread(file, 64, 0)
    if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
        raise ValueError("it is no little-endian 64-bit ELF file")
    size, count = _number(head, 0x36, 2), _number(head, 0x38, 2)
    table = _read(file, _number(head, 0x20), size * count)
    parts = [table[at : at + size] for at in range(0, len(table), size)] if size >= 56 else []
    entries = [pair for part in parts if _number(part, 0, 4) == PT_DYNAMIC for pair in _dynamic(file, part)]
    strings = next((value for tag, value in entries if tag == DT_STRTAB), 0)
    names = _offset(parts, strings)
    return tuple(_name(file, names + value) for tag, value in entries if tag == DT_NEEDED)


def _dynamic(file: int, part: bytes) -> list[tuple[int, int]]:
    data = _read(file, _number(part, 8), _number(part, 32))
    return [(_number(data, at), _number(data, at + 8)) for at in range(0, len(data) - 15, 16)]


def _offset(parts: list[bytes], address: int) -> int:
    """Where in the file lies what will be at this address in memory."""
    for part in parts:
        begin = _number(part, 16)
        if _number(part, 0, 4) == PT_LOAD and begin <= address < begin + _number(part, 32):
            return address - begin + _number(part, 8)
    raise ValueError("its table of names lies in no part of the file")


def _read(file: int, offset: int, size: int) -> bytes:
    if size > MOST or offset >= 1 << 62:
        raise ValueError("its tables are larger than any real one")
    return os.pread(file, size, offset)


def _number(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _name(file: int, offset: int) -> str:
    return _read(file, offset, 256).partition(b"\0")[0].decode("ascii", "replace")
