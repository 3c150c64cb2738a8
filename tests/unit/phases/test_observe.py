"""What running services are asked."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provisioner.model.plan import Loaded
from provisioner.model.record import replace
from provisioner.model.report import Completion
from provisioner.phases.observe import observe_engines
from tests.unit.engines.test_vllm import SERVICE


class OneModel(BaseHTTPRequestHandler):
    """Answers for `first`, and knows nothing else."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = asked["model"] == "first"
        words = [{"choices": [{"delta": {"content": word}}]} for word in ("one ", "two")] if known else []
        body = "".join(f"data: {json.dumps(word)}\n\n" for word in words) + "data: [DONE]\n\n"
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Not into the test's output."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), OneModel) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("others", "status"), [((), 200), ((Loaded("second", "/m/s.gguf", 512, 1),), 404)])
def test_each_model_of_a_server_is_asked(port: int, tmp_path: Path, others: tuple[Loaded, ...], status: int) -> None:
    """One that does not answer is what there is to tell, though the first one does."""
    key = tmp_path / "secrets" / "llm.key"
    key.parent.mkdir()
    key.write_text("secret\n")
    service = replace(SERVICE, port=port, model_name="first", further=others, key_file=str(key), first_token_seconds=10)
    (seen,) = observe_engines((service,), ())
    assert isinstance(seen.completion, Completion)
    assert seen.completion.status == status
