"""How a release is measured, against a server on a socket: what it is asked, how often, and how it may fail."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provisioner.errors import RunFailed
from provisioner.model.baseline import Baseline
from provisioner.model.plan import Service
from provisioner.model.progress import Silent
from provisioner.model.record import replace
from provisioner.phases.bench import QUICK, bench
from tests.unit.views.samples import DIGEST, PLAN, SERVICE

EVENT = 'data: {"choices": [{"delta": {"content": "la"}}]}\n\n'
DIES = EVENT * 2
WHOLE = EVENT * 8 + 'data: {"choices": [], "usage": {"completion_tokens": 8}}\n\ndata: [DONE]\n\n'


class Engine(ThreadingHTTPServer):
    """Answers each question as it is told to; `asked` is what came."""

    daemon_threads = True

    def __init__(self, answer: Callable[[int], tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[dict[str, object]] = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """In chunks, as engines stream; one that dies leaves the last of them out."""

    protocol_version = "HTTP/1.1"
    server: Engine

    def do_POST(self) -> None:
        with self.server.lock:
            self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, text = self.server.answer(len(self.server.asked))
        self.send_response(status)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        if text != DIES:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    (tmp_path / "llm.key").write_text("secret\n")
    return str(tmp_path / "llm.key")


@pytest.fixture
def started() -> Iterator[list[Engine]]:
    engines: list[Engine] = []
    yield engines
    for engine in engines:
        engine.shutdown()
        engine.server_close()


def service(started: list[Engine], key_file: str, answer: Callable[[int], tuple[int, str]], slots: int = 3) -> Service:
    engine = Engine(answer)
    threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    started.append(engine)
    return replace(SERVICE, port=engine.server_address[1], key_file=key_file, slots=slots)


def measured(*services: Service) -> Baseline:
    return bench(replace(PLAN, services=services), DIGEST, Silent(), quick=True)


def test_it_asks_alone_and_at_once_and_never_the_same(started: list[Engine], key_file: str) -> None:
    found = measured(service(started, key_file, lambda _: (200, WHOLE)))
    asked = [str(one["messages"]) for one in started[0].asked]
    assert len(asked) == 1 + QUICK.alone + QUICK.waves * 3
    assert len(set(asked)) == len(asked)
    assert (found.release, found.quick, found.speed.concurrency) == (DIGEST, True, 3)
    assert (found.speed.tokens_per_second.count, found.speed.total_tokens_per_second.count) == (
        QUICK.alone,
        QUICK.waves,
    )
    assert found.speed.tokens_per_second.median > 0


def test_several_copies_share_what_is_asked_at_once(started: list[Engine], key_file: str) -> None:
    copies = [service(started, key_file, lambda _: (200, WHOLE)) for _ in range(2)]
    assert measured(*copies).speed.concurrency == 6
    assert [len(engine.asked) for engine in started] == [1 + QUICK.alone + QUICK.waves * 3, 1 + QUICK.waves * 3]


@pytest.mark.parametrize("when", [1, 3, QUICK.alone + 3], ids=["at first", "alone", "at once"])
def test_an_engine_that_dies_ends_it_with_the_reason(started: list[Engine], key_file: str, when: int) -> None:
    broken = service(started, key_file, lambda number: (200, WHOLE if number < when else DIES))
    with pytest.raises(RunFailed, match="llm does not answer while it is measured: the stream broke off") as failure:
        measured(broken)
    assert "provision logs" in failure.value.fix


def test_an_engine_that_refuses_ends_it_with_its_words(started: list[Engine], key_file: str) -> None:
    with pytest.raises(RunFailed, match="status 500: no memory"):
        measured(service(started, key_file, lambda _: (500, "no memory")))


def test_an_answer_without_a_token_is_no_answer(started: list[Engine], key_file: str) -> None:
    with pytest.raises(RunFailed, match="an answer without a token"):
        measured(service(started, key_file, lambda _: (200, "data: [DONE]\n\n")))


def test_without_a_key_nothing_is_asked(started: list[Engine], key_file: str) -> None:
    with pytest.raises(RunFailed, match="the key file"):
        measured(replace(service(started, key_file, lambda _: (200, WHOLE)), key_file=f"{key_file}.gone"))
    assert started[0].asked == []
