"""Asks a service over HTTP: every request has a deadline, and no answer is a reason in words, never an exception."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from provisioner.documents import Json
from provisioner.model.containers import Question
from provisioner.model.facts import Unknown
from provisioner.model.plan import Service
from provisioner.model.record import dataclass
from provisioner.model.report import Completion
from provisioner.world.events import Delta, deltas

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

PATIENCE = 5.0
LARGEST_ANSWER = 4 << 20
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, not bound


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Json:
        """The body as JSON; ValueError when it is none."""
        document: Json = json.loads(self.body)
        return document


def healthy(service: Service) -> bool:
    """Whether the service says that it is ready."""
    answer = get(service, service.health_path, None, 1.0)
    return not isinstance(answer, Unknown) and answer.status == 200


def ask(question: Question, key: str | None, seconds: float = PATIENCE) -> Answer | Unknown:
    """GET the address of a question, over TLS with the authority that it names."""
    from urllib.parse import urlsplit

    parts = urlsplit(question.url)
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    try:
        connection = _secured(question, seconds) if parts.scheme == "https" else _plain(question, seconds)
    except OSError as error:
        return Unknown(f"{question.authority}: {error.strerror or error}")
    return _asked(connection, "GET", path, key, None, seconds)


def _plain(question: Question, seconds: float) -> "HTTPConnection":
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    parts = urlsplit(question.url)
    return HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)


def _secured(question: Question, seconds: float) -> "HTTPConnection":
    from http.client import HTTPSConnection
    from urllib.parse import urlsplit

    from provisioner.world.trust import held_against

    parts, trusted = urlsplit(question.url), held_against(question.authority)
    return HTTPSConnection(parts.hostname or "", parts.port or 443, timeout=seconds, context=trusted)


def get(service: Service, path: str, key: str | None, seconds: float = PATIENCE) -> Answer | Unknown:
    """GET a path, with a key or without."""
    return _ask(service, "GET", path, key, None, seconds)


def post(service: Service, path: str, key: str | None, body: Json, seconds: float = PATIENCE) -> Answer | Unknown:
    """POST a JSON document, with a key or without."""
    return _ask(service, "POST", path, key, body, seconds)


def _ask(service: Service, method: str, path: str, key: str | None, body: Json, seconds: float) -> Answer | Unknown:
    return _asked(_connection(service, seconds), method, path, key, body, seconds)


def _asked(
    connection: "HTTPConnection", method: str, path: str, key: str | None, body: Json, seconds: float
) -> Answer | Unknown:
    from http.client import HTTPException

    deadline = time.monotonic() + seconds
    try:
        response = _send(connection, method, path, key, body)
        return Answer(response.status, b"".join(_pieces(connection, response, deadline)))
    except TimeoutError:
        return Unknown(f"no answer within {seconds:g} s")
    except (OSError, HTTPException) as error:
        return Unknown(_words(error))
    finally:
        connection.close()


def _connection(service: Service, seconds: float) -> "HTTPConnection":
    from http.client import HTTPConnection

    return HTTPConnection(ANYWHERE.get(service.host, service.host), service.port, timeout=seconds)


def _send(connection: "HTTPConnection", method: str, path: str, key: str | None, body: Json) -> "HTTPResponse":
    headers = {"Accept-Encoding": "identity"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    return connection.getresponse()


def _pieces(connection: "HTTPConnection", response: "HTTPResponse", deadline: float) -> Iterator[bytes]:
    """The body as it comes; TimeoutError when the deadline passes, however often a byte still arrives."""
    total = 0
    socket = connection.sock
    while total < LARGEST_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        if socket is not None and socket.fileno() >= 0:
            socket.settimeout(left)
        piece = response.read1(65536)
        if not piece:
            return
        total += len(piece)
        yield piece


def complete(service: Service, key: str, first_seconds: float, total_seconds: float) -> Completion | Unknown:
    """One short streamed chat completion, with the time at which each token came."""
    return stream(service, key, {"content": "Count from one to ten.", "max_tokens": 16}, first_seconds, total_seconds)


def stream(
    service: Service, key: str, asked: dict[str, Json], first_seconds: float, total_seconds: float
) -> Completion | Unknown:
    """One streamed chat completion of what is `asked`: its `content`, and how it shall be answered."""
    from http.client import HTTPException

    body: Json = {
        "model": service.model_name,
        "messages": [{"role": "user", "content": asked["content"]}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in asked.items() if name != "content"},
    }
    connection = _connection(service, first_seconds)
    began = time.monotonic()
    seen = _Seen(began)
    try:
        response = _send(connection, "POST", "/v1/chat/completions", key, body)
        seen.status = response.status
        if response.status != 200:
            refused = b"".join(_pieces(connection, response, began + first_seconds))
            return Completion(response.status, (), "", 0, refused.decode("utf-8", "replace")[:300])
        _listen(connection, response, seen, began + first_seconds, began + total_seconds)
    except TimeoutError:
        late = f"the stream stopped: not at its end after {time.monotonic() - began:.1f} s"
        seen.error = late if seen.arrivals else f"no token within {first_seconds:g} s"
    except (OSError, HTTPException) as error:
        if not seen.status:
            return Unknown(_words(error))
        seen.error = f"the stream broke off: {_words(error)}"
    finally:
        connection.close()
    if not seen.status:
        return Unknown(f"no answer within {first_seconds:g} s")
    return Completion(seen.status, tuple(seen.arrivals), seen.text, seen.tokens or len(seen.arrivals), seen.error)


class _Seen:
    """What has come of a stream so far."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.status = 0
        self.arrivals: list[float] = []
        self.text = ""
        self.tokens = 0
        self.error = ""

    def add(self, delta: Delta) -> None:
        if delta.text:
            self.arrivals.append(time.monotonic() - self.began)
            self.text += delta.text
        self.tokens = delta.tokens or self.tokens
        self.error = delta.error or self.error


def _listen(connection: "HTTPConnection", response: "HTTPResponse", seen: _Seen, first: float, last: float) -> None:
    """Read events to the end of the stream; the first token has a deadline of its own."""
    rest = b""
    while True:
        piece = next(_pieces(connection, response, last if seen.arrivals else min(first, last)), b"")
        found, rest = deltas(rest + piece)
        for delta in found:
            seen.add(delta)
            if delta.end:
                return
        if not piece:
            return


def _words(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens on the port"
    return str(error) or type(error).__name__
