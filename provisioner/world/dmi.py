"""The firmware's table of memory modules (SMBIOS type 17), without its serial numbers."""

from collections.abc import Iterator

MEMORY_DEVICE = 17
END_OF_TABLE = 127
BAD_WORDS = (0, 0xFFFF)
"""Not told, and told elsewhere."""


def memory_devices(table: bytes) -> list[dict[str, int | str]]:
    """Each module that is plugged in: where, how large, how fast it runs (SMBIOS 3.7, section 7.18)."""
    return [_module(body, texts) for kind, body, texts in _structures(table) if kind == MEMORY_DEVICE and _size(body)]


def _structures(table: bytes) -> Iterator[tuple[int, bytes, list[str]]]:
    """Kind, fixed part and texts of each structure; the texts end with an empty one."""
    at = 0
    while at + 4 <= len(table):
        kind, length = table[at], table[at + 1]
        end = table.find(b"\0\0", at + length)
        if length < 4 or end < 0 or kind == END_OF_TABLE:
            return
        texts = table[at + length : end].decode("latin-1").split("\0")
        yield kind, table[at : at + length], texts
        at = end + 2


def _module(body: bytes, texts: list[str]) -> dict[str, int | str]:
    speeds = [word for word in (_word(body, 0x20), _word(body, 0x15)) if word not in BAD_WORDS]
    return {
        "locator": _text(body, 0x10, texts),
        "bank": _text(body, 0x11, texts),
        "size_bytes": _size(body),
        "mega_transfers": speeds[0] if speeds else 0,
    }


def _size(body: bytes) -> int:
    word = _word(body, 0x0C)
    if word == 0x7FFF:
        return (int.from_bytes(body[0x1C:0x20], "little") & 0x7FFFFFFF) << 20
    if word in BAD_WORDS:
        return 0
    return (word & 0x7FFF) << (10 if word & 0x8000 else 20)


def _word(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 2], "little")


def _text(body: bytes, at: int, texts: list[str]) -> str:
    index = body[at] if at < len(body) else 0
    return texts[index - 1].strip() if 0 < index <= len(texts) else ""
