"""Parts of files at a hub, by HTTP ranges (RFC 9110, section 14): enough to read a header, and never the weights behind it."""

import time
from http.client import HTTPException

from provisioner.model.record import dataclass
from provisioner.weights.gguf import Read
from provisioner.world.http import PAUSE, TRIES, Refusal, Reply, failure, get, is_transient

SECONDS = 120.0
"""For one part, however slowly it drips."""
PASSED_OVER = 16 << 20
"""How much of a file is thrown away to get at a part, where a server sends nothing but whole files."""
FIRST_WINDOW = 1 << 20
LARGEST_WINDOW = 8 << 20
MOST_BYTES = 96 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    tries: int = TRIES
    pause: float = PAUSE
    seconds: float = SECONDS


PATIENT = Patience()


def read_part(url: str, begin: int, size: int, what: str, patience: Patience = PATIENT) -> bytes:
    """Bytes of a file from `begin` on: as many as asked for, fewer only at its end; a `UserError` says why it cannot be had."""
    if size <= 0:
        return b""
    for attempt in range(patience.tries):
        try:
            return _read_once(url, begin, size, patience.seconds)
        except (OSError, HTTPException, Refusal) as error:
            if attempt == patience.tries - 1 or not is_transient(error):
                raise failure(error, url, what) from error
            time.sleep(patience.pause * 2**attempt)
    raise AssertionError("unreachable")


def _read_once(url: str, begin: int, size: int, seconds: float) -> bytes:
    reply = get(url, {"Range": f"bytes={begin}-{begin + size - 1}"})
    try:
        if reply.status == 416:
            return b""
        if reply.status == 200:
            return _of_whole(reply, begin, size, seconds)
        if reply.status != 206:
            raise Refusal(reply.status, url)
        span = reply.headers.get("content-range", "")
        if not span.startswith(f"bytes {begin}-"):
            raise HTTPException(
                f"asked for bytes {begin} and on, it answers with {span or 'a part that it does not name'}"
            )
        end = span.partition("-")[2].partition("/")[0]
        expected = min(size, int(end) - begin + 1) if end.isdecimal() else size
        return _body(reply, expected, seconds)
    finally:
        reply.hang_up()
        reply.close()


def _of_whole(reply: Reply, begin: int, size: int, seconds: float) -> bytes:
    """A server without ranges sends all of it: what comes before is passed over, and the rest is never waited for."""
    length = reply.headers.get("content-length", "")
    if begin > PASSED_OVER:
        raise Refusal(501, reply.url)
    whole = int(length) if length.isdecimal() else begin + size
    return _body(reply, min(begin + size, whole), seconds)[begin:]


def _body(reply: Reply, size: int, seconds: float) -> bytes:
    deadline = time.monotonic() + seconds
    data = bytearray()
    for chunk in reply.chunks(1 << 16):
        data += chunk
        if len(data) >= size:
            return bytes(data[:size])
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(data)} bytes came in {seconds:.0f} seconds")
    raise HTTPException(f"the connection ends after {len(data)} bytes of {size}")


class Windows:
    """A file at a hub that is read forward: each window is twice as large as the one before, and what it holds is kept."""

    def __init__(self, url: str, what: str, patience: Patience = PATIENT) -> None:
        self.url = url
        self.what = what
        self.patience = patience
        self.start = 0
        self.data = b""
        self.window = FIRST_WINDOW
        self.fetched = 0

    def read(self, offset: int, size: int) -> bytes:
        begin = offset - self.start
        if begin < 0 or begin + size > len(self.data):
            self._fetch(offset, max(size, self.window))
            begin = 0
        return self.data[begin : begin + size]

    def _fetch(self, offset: int, size: int) -> None:
        if self.fetched + size > MOST_BYTES:
            raise ValueError(f"its header is larger than {MOST_BYTES >> 20} MiB: the file is damaged or hostile")
        self.data = read_part(self.url, offset, size, self.what, self.patience)
        self.start = offset
        self.fetched += size
        self.window = min(2 * self.window, LARGEST_WINDOW)


def reader(url: str, what: str, patience: Patience = PATIENT) -> Read:
    return Windows(url, what, patience).read
