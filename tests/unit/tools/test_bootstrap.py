"""Setting up from a Python without pip: where pip is fetched, and what is refused."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import bootstrap

PIP = "pip-26.3-py3-none-any.whl"


@contextmanager
def index(files: Mapping[str, bytes]) -> Iterator[str]:
    """Serve a package index on loopback: a page of links, and the files behind them."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = "".join(f'<a href="/files/{name}#sha256=0">{name}</a>' for name in files).encode()
            answer = page if self.path == "/simple/pip/" else files.get(self.path.removeprefix("/files/"))
            self.send_response(200 if answer is not None else 404)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("PIP_INDEX_URL", "PIP_CERT", "PIP_CONFIG_FILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def lock_of(content: bytes) -> str:
    return f"pip==26.3 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"


def test_pip_is_taken_when_its_hash_is_the_locked_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index({"pip-9.0-py3-none-any.whl": b"old", PIP: b"a wheel"}) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        path = bootstrap.fetch_pip(str(tmp_path), lock_of(b"a wheel"))
    assert path == f"{tmp_path}/{PIP}"
    assert Path(path).read_bytes() == b"a wheel"


def test_another_file_under_that_name_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index({PIP: b"something else"}) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        with pytest.raises(bootstrap.SetupError, match="is not the file"):
            bootstrap.fetch_pip(str(tmp_path), lock_of(b"a wheel"))
    assert list(tmp_path.iterdir()) == []


def test_an_index_without_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with index({"pip-9.0-py3-none-any.whl": b"old"}) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        with pytest.raises(bootstrap.SetupError, match=f"does not offer {PIP}"):
            bootstrap.fetch_pip(str(tmp_path), lock_of(b"a wheel"))


def test_an_index_that_does_not_answer_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with index({}) as url:
        pass
    monkeypatch.setenv("PIP_INDEX_URL", url)
    with pytest.raises(bootstrap.SetupError, match=r"(?s)refused.*fix: .*PIP_INDEX_URL"):
        bootstrap.fetch_pip(str(tmp_path), lock_of(b"a wheel"))


def test_settings_come_from_where_pip_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://file.example/simple\ncert = /ca.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    assert bootstrap.index_url() == "https://file.example/simple"
    monkeypatch.setenv("PIP_INDEX_URL", "https://environment.example/simple")
    assert bootstrap.index_url() == "https://environment.example/simple"


def test_what_somebody_else_made_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bin").mkdir()
    assert bootstrap.main([str(tmp_path)]) == 3
    assert "did not make it" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_a_folder_that_cannot_be_written_is_an_error_with_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["/proc/here"]) == 3
    assert "fix: choose a folder that is yours" in capsys.readouterr().err
