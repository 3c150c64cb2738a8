"""Open WebUI itself, in the container that is planned for it: who gets in, what it offers, and what it keeps."""

import json
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.model.containers import Published
from provisioner.model.record import replace
from provisioner.services import openwebui
from tests.contract import composed
from tests.e2e import browser
from tests.ports import free_port
from tools import pyimages

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.needs("openwebui", "llamacpp", "compose"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

PASSWORD = "of-the-first-administrator"
SECONDS = 400
SENTENCE = "The pump that cools rack seven is called Gertrude and wants distilled water every month."


class Page:
    """Its own interface, as its page uses it."""

    def __init__(self, running: composed.Running, address: str) -> None:
        self.running, self.address, self.token = running, address, ""

    def ask(self, path: str, body: object = None, token: str | None = None) -> tuple[int, Any]:
        raw = self.send(path, None if body is None else json.dumps(body).encode(), "application/json", token)
        return raw[0], json.loads(raw[1] or "null")

    def send(self, path: str, body: bytes | None, kind: str, token: str | None = None) -> tuple[int, bytes]:
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self.token if token is None else token}"}
        request = urllib.request.Request(f"{self.address}{path}", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()

    def sign_in(self) -> dict[str, Any]:
        status, told = self.ask("/api/v1/auths/signin", {"email": openwebui.ADMIN, "password": PASSWORD})
        assert status == 200, told
        self.token = told["token"]
        return dict(told)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Published on a port of this host for the browser; in a stack only the gateway reaches it."""
    folder, port = tmp_path_factory.mktemp("webui"), free_port()
    address = f"http://localhost:{port}"
    stack = composed.stack(
        folder, frozenset({"openwebui"}), {"webui": pyimages.image(pyimages.OPEN_WEBUI)}, {"openwebui.url": address}
    )
    for name, value in (("webui.secret", "a-secret-of-the-tests" * 2), ("webui-admin.password", PASSWORD)):
        Path(stack.place.state, "secrets", name).write_text(f"{value}\n")
    (planned,) = openwebui.SERVICE.containers(stack)
    shown = replace(planned, published=(Published("127.0.0.1", port, 8080),))
    with composed.running(stack, (composed.engine(stack), shown), (), folder) as running:
        running.wait_until_healthy("webui", SECONDS)
        opened = Page(running, address)
        opened.sign_in()
        yield opened


def test_the_first_administrator_was_made_without_a_browser(page: Page) -> None:
    assert page.sign_in()["role"] == "admin"
    assert page.ask("/api/v1/auths/signin", {"email": openwebui.ADMIN, "password": "another"})[0] == 400


def test_a_password_that_nobody_knows_becomes_that_of_the_file_as_the_page_of_the_documentation_says(
    page: Page,
) -> None:
    page.sign_in()
    new = {"password": PASSWORD, "new_password": "changed-and-forgotten-1"}
    assert page.ask("/api/v1/auths/update/password", new)[0] == 200
    credentials = {"email": openwebui.ADMIN, "password": PASSWORD}
    assert page.ask("/api/v1/auths/signin", credentials)[0] == 400
    told = (Path(__file__).parents[2] / "docs" / "reference" / "chat-page.md").read_text()
    (recipe,) = (
        part.partition("```")[0] for part in told.split("```sh\n") if part.startswith("docker exec NAME python3")
    )
    command = recipe.replace("NAME", f"{page.running.project}-webui-1", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    page.sign_in()


def test_nobody_makes_an_account_for_themselves(page: Page) -> None:
    told = {"email": "somebody@localhost", "password": "whatever-1", "name": "Somebody"}
    assert page.ask("/api/v1/auths/signup", told, token="")[0] == 403
    assert page.ask("/api/models", token="")[0] == 401


def test_what_was_turned_off_is_off(page: Page) -> None:
    _, told = page.ask("/api/config")
    features = told["features"]
    wanted = (
        "enable_signup", "enable_ldap", "enable_api_keys", "enable_direct_connections", "enable_web_search",
        "enable_code_execution", "enable_code_interpreter", "enable_image_generation", "enable_community_sharing",
        "enable_admin_export", "enable_admin_chat_access", "enable_version_update_check",
    )  # fmt: skip
    assert {name: features.get(name) for name in wanted} == dict.fromkeys(wanted, False)
    assert page.ask("/api/v1/tools/create", {"id": "t", "name": "t", "content": "", "meta": {}})[0] >= 400
    assert page.ask("/api/v1/functions/create", {"id": "f", "name": "f", "content": "", "meta": {}})[0] >= 400


def test_it_is_new_enough(page: Page) -> None:
    """What it says of itself: of an image that is named by its digest the gate knows nothing."""
    _, told = page.ask("/api/version")
    assert tuple(map(int, told["version"].split("."))) >= openwebui.LEAST


def test_every_engine_is_offered(page: Page) -> None:
    _, told = page.ask("/api/models")
    assert [model["id"] for model in told["data"]] == [composed.MODEL]


def test_an_answer_is_streamed(page: Page) -> None:
    asked = {"model": composed.MODEL, "stream": True, "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]}
    status, raw = page.send("/api/chat/completions", json.dumps(asked).encode(), "application/json")
    pieces = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: {")]
    assert status == 200
    assert len([one for one in pieces if one["choices"] and one["choices"][0]["delta"].get("content")]) >= 8


def test_a_document_is_found_without_a_network(page: Page) -> None:
    _, base = page.ask("/api/v1/knowledge/create", {"name": "notes", "description": "of the lab"})
    file = upload(page, "notes.txt", SENTENCE)
    status, told = page.ask(f"/api/v1/knowledge/{base['id']}/file/add", {"file_id": file})
    assert status == 200, told
    wanted = {"collection_names": [base["id"]], "query": "Which water does the machine need?", "k": 1}
    _, found = page.ask("/api/v1/retrieval/query/collection", wanted)
    assert found["documents"] == [[SENTENCE]]


def upload(page: Page, name: str, text: str) -> str:
    edge = "edge-of-the-parts"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    body = f"{head}{text}\r\n--{edge}--\r\n".encode()
    status, raw = page.send("/api/v1/files/", body, f"multipart/form-data; boundary={edge}")
    assert status == 200, raw
    file = str(json.loads(raw)["id"])
    until = time.monotonic() + 120
    while page.ask(f"/api/v1/files/{file}/process/status")[1]["status"] != "completed":
        assert time.monotonic() < until, "the document is not read"
        time.sleep(0.5)
    return file


@pytest.mark.needs("browser")
def test_a_person_gets_a_streamed_answer_in_the_page(page: Page) -> None:
    with browser.page() as shown:
        browser.sign_in(shown, page.address, openwebui.ADMIN, PASSWORD)
        assert browser.models(shown) == [composed.MODEL]
        answer = browser.ask(shown, "What is an appliance?")
    assert answer.text
    assert answer.states > 1


def test_chats_outlive_the_container(page: Page) -> None:
    chat = {
        "chat": {
            "title": "kept",
            "models": [composed.MODEL],
            "messages": [],
            "history": {"messages": {}, "currentId": None},
        }
    }
    status, made = page.ask("/api/v1/chats/new", chat)
    assert status == 200, made
    page.running.compose("up", "--detach", "--pull", "never", "--force-recreate", "webui")
    page.running.wait_until_healthy("webui", SECONDS)
    status, told = page.ask(f"/api/v1/chats/{made['id']}")
    assert (status, told["title"]) == (200, "kept")
    kept = Path(page.running.folder, "state", "data", "openwebui", "webui.db")
    with sqlite3.connect(f"file:{kept}?mode=ro", uri=True) as database:
        assert database.execute("select count(*) from user").fetchone() == (1,)


def test_it_writes_nowhere_but_in_its_folders_and_tells_no_secret(page: Page) -> None:
    denied = page.running.inside("webui", "sh", "-c", "touch /app/backend/x 2>&1 || true; touch /data/x && rm /data/x")
    assert "Read-only file system" in denied
    logs = page.running.logs("webui")
    assert PASSWORD not in logs
    assert composed.KEY not in logs
    assert "Traceback" not in logs
