"""Log files: their last lines, and what is added to them, across rotation."""

import os
import time
from collections.abc import Iterator
from typing import BinaryIO

BLOCK = 64 * 1024
POLL_SECONDS = 0.2


def read(paths: list[str], follow: bool, lines: int) -> Iterator[str]:
    """The last lines of each file; then, if wanted, every new line of any of them."""
    logs = [Log(path) for path in paths]
    try:
        for log in logs:
            yield from _named(log, log.last(lines, whole=follow), many=len(logs) > 1)
        while follow:
            news = False
            for log in logs:
                fresh = log.fresh()
                news = news or bool(fresh)
                yield from _named(log, fresh, many=len(logs) > 1)
            if not news:
                time.sleep(POLL_SECONDS)
    finally:
        for log in logs:
            log.close()


class Log:
    """One log file, read on from where it was read to; no line of it is given out before it is whole."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.stream = _opened(path)
        self.half = b""

    def last(self, lines: int, *, whole: bool) -> list[str]:
        """The last lines, without reading all of it; `whole` holds back one that is still being written."""
        if self.stream is None:
            return []
        data, self.half = _end(self.stream, lines), b""
        if whole:
            data, self.half = _parted(data)
        found = _lines(data)
        return found[-lines:] if lines else []

    def fresh(self) -> list[str]:
        """The lines that were finished since; when the file was rotated, first those of the old one."""
        data = self._more()
        newer = self._newer() if not data else None
        if newer is not None:
            # What was written between the last look and the rotation is in the old file; nobody adds to it now.
            data = self._more()
            rest = self.half + data
            self.close()
            self.stream, self.half = newer, b""
            return [*_lines(rest), *self._finished(self._more())]
        return self._finished(data)

    def _finished(self, data: bytes) -> list[str]:
        whole, self.half = _parted(self.half + data)
        return _lines(whole)

    def _more(self) -> bytes:
        return self.stream.read() if self.stream is not None else b""

    def _newer(self) -> BinaryIO | None:
        """The file that has this name now, if it is another; in the midst of a rotation none has it."""
        newer = _opened(self.path)
        if newer is None or self.stream is None:
            return newer
        if os.path.sameopenfile(newer.fileno(), self.stream.fileno()):
            newer.close()
            return None
        return newer

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()


def _opened(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _end(stream: BinaryIO, lines: int) -> bytes:
    """The end of a file, from some way before its last lines; the stream stands behind it afterwards."""
    position = end = stream.seek(0, os.SEEK_END)
    data = b""
    while position and data.count(b"\n") <= lines:
        step = min(BLOCK, position)
        position = stream.seek(position - step)
        data = stream.read(step) + data
    stream.seek(end)
    return data


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """Whole lines, and the beginning of one that is still being written."""
    whole, newline, half = data.rpartition(b"\n")
    return whole + newline, half


def _lines(data: bytes) -> list[str]:
    return [line.decode("utf-8", "replace") for line in data.removesuffix(b"\n").split(b"\n")] if data else []


def _named(log: Log, lines: list[str], *, many: bool) -> Iterator[str]:
    name = os.path.basename(log.path).removesuffix(".log")
    for line in lines:
        yield f"{name}: {line}" if many else line
