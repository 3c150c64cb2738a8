"""A hub on loopback that speaks as Hugging Face and ModelScope do, and misbehaves on request."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

CHUNK = 16 << 10


@dataclass
class Faults:
    """What goes wrong. Counters count down; at 0 all is well again."""

    errors: int = 0
    """Answers of status 500 before anything else."""
    fail_after: int = 0
    """From this request on every answer has status 500."""
    status: int = 0
    """This status for every file."""
    drops: int = 0
    """Connections that break off in the middle of the body."""
    ranges: bool = True
    lies_in_range: bool = False
    """Answers a range with the bytes of another one."""
    wrong_bytes: bool = False
    replace_after: int = 0
    """From this request for a file on, the entity tag is another one."""
    seconds_a_chunk: float = 0.0
    cut_at: int = 0
    """Parts of files end here, with no more said about it."""
    unnamed_parts: bool = False
    """Answers a range with a part, and does not say which."""
    redirects: bool = False
    listing: object = None
    """Sent instead of the list of files."""


def git_hash(data: bytes) -> str:
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


@dataclass
class Hub:
    files: dict[str, bytes] = field(default_factory=dict)
    """By `owner/name/path`."""
    faults: Faults = field(default_factory=Faults)
    sent: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    plain: tuple[str, ...] = ()
    """Files that are kept without a sha256, by name: git's own hash is all that is listed of them."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sha256(self, name: str) -> str:
        return hashlib.sha256(self.files[name]).hexdigest()

    def tree(self, repository: str) -> list[dict[str, object]]:
        """The listing in Hugging Face's form."""
        found: list[dict[str, object]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": "folder"}]
        for name, data in self.files.items():
            if name.startswith(f"{repository}/"):
                entry = {"oid": self.sha256(name), "size": len(data), "pointerSize": 134}
                path = name.removeprefix(f"{repository}/")
                if path in self.plain:
                    found.append({"type": "file", "oid": git_hash(data), "size": len(data), "path": path})
                    continue
                found.append({"type": "file", "oid": "1" * 40, "size": len(data), "path": path, "lfs": entry})
        return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Nothing is logged."""

    @property
    def hub(self) -> Hub:
        return cast(Hub, self.server.hub)  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        hub, faults = self.hub, self.hub.faults
        address = urlsplit(self.path)
        with hub.lock:
            hub.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            failing = faults.errors > 0
            faults.errors -= failing
            failing = failing or 0 < faults.fail_after < len(hub.asked)
        if failing:
            self.answer(500, b"busy")
        elif address.path.startswith("/api/models/") and "/tree/" in address.path:
            self.list_files(address.path.removeprefix("/api/models/").partition("/tree/")[0], address.query)
        elif "/resolve/" in address.path and faults.redirects and "signed" not in address.query:
            self.answer(302, b"", Location=f"/elsewhere{address.path}?signed=yes")
        elif "/resolve/" in address.path:
            self.file(unquote(address.path.removeprefix("/elsewhere")))
        else:
            self.answer(404, b"")

    def list_files(self, repository: str, query: str) -> None:
        if self.hub.faults.listing is not None:
            self.answer(200, json.dumps(self.hub.faults.listing).encode())
            return
        entries = self.hub.tree(repository)
        page = int(parse_qs(query).get("page", ["0"])[0])
        more = {"Link": f'<{self.hub.url}/api/models/{repository}/tree/main?page={page + 1}>; rel="next"'}
        self.answer(
            200, json.dumps(entries[2 * page : 2 * page + 2]).encode(), **(more if 2 * page + 2 < len(entries) else {})
        )

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def file(self, path: str) -> None:
        faults = self.hub.faults
        name = path.strip("/").replace("/resolve/main/", "/", 1)
        if faults.status or name not in self.hub.files:
            self.answer(faults.status or 404, b"no")
            return
        data = self.hub.files[name]
        begin, end, ranged = self.span(len(data))
        if begin >= len(data):
            self.answer(416, b"")
            return
        body = data[begin:end] if not faults.lies_in_range else data[: end - begin]
        if faults.wrong_bytes:
            body = bytes(byte ^ 0xFF for byte in body)
        if faults.cut_at:
            body = body[: max(0, faults.cut_at - begin)]
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(end - begin))
        self.send_header("ETag", self.tag())
        self.close_connection = bool(faults.cut_at)
        if ranged and not faults.unnamed_parts:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(data)}")
        self.end_headers()
        self.stream(body)

    def tag(self) -> str:
        files = sum("/resolve/" in path for path, _ in self.hub.asked)
        return '"new"' if 0 < self.hub.faults.replace_after < files else '"one"'

    def span(self, size: int) -> tuple[int, int, bool]:
        asked = self.headers.get("Range", "")
        if not asked.startswith("bytes=") or not self.hub.faults.ranges:
            return 0, size, False
        first, _, last = asked.removeprefix("bytes=").partition("-")
        return int(first), min(size, int(last) + 1) if last else size, True

    def stream(self, body: bytes) -> None:
        hub, faults = self.hub, self.hub.faults
        with hub.lock:
            dropping = faults.drops > 0 and len(body) > CHUNK
            faults.drops -= dropping
        for at in range(0, len(body), CHUNK):
            if dropping and at > len(body) // 2:
                self.close_connection = True
                return
            time.sleep(faults.seconds_a_chunk)
            try:
                self.wfile.write(body[at : at + CHUNK])
            except OSError:
                self.close_connection = True
                return
            with hub.lock:
                hub.sent += len(body[at : at + CHUNK])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is part of the play."""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, reachable at `hub.url` until the end of the block."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.hub = hub
        hub.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
