"""People's chats through upgrades that are taken back: the real chat page over a real engine, on a real container engine."""

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.services import openwebui
from provisioner.world import containers
from tests.e2e.stack import Stack
from tests.e2e.test_upgrade import mute
from tools import images, pyimages

pytestmark = [
    pytest.mark.needs("compose", "llamacpp", "gateway", "openwebui"),
    pytest.mark.timeout(600),
    pytest.mark.slow,
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    named = {
        "image": images.image("llamacpp"),
        "gateway.image": images.image("nginx"),
        "webui.image": pyimages.image(pyimages.OPEN_WEBUI),
        "engine.threads": "1",
    }
    words = (word for key, value in named.items() for word in ("--set", f"{key}={value}"))
    stack = Stack(
        str(tmp_path / "state"), planned=("--profile", "demo", "--concurrency", "1", "--no-monitoring", *words)
    )
    stack.ok("up", timeout=300)
    yield stack
    stack.end()


class Page:
    """The chat page's own interface, through the gateway, as its administrator."""

    def __init__(self, stack: Stack) -> None:
        self.address, self.token = f"https://127.0.0.1:{stack.published}", ""
        self.trusted = ssl.create_default_context(cafile=f"{stack.state}/secrets/tls/authority.pem")
        password = Path(stack.state, "secrets", "webui-admin.password").read_text().strip()
        self.token = self.ask("auths/signin", {"email": openwebui.ADMIN, "password": password})["token"]

    def ask(self, path: str, body: object = None) -> Any:
        request = urllib.request.Request(f"{self.address}/api/v1/{path}")
        request.add_header("Authorization", f"Bearer {self.token}")
        if body is not None:
            request.add_header("Content-Type", "application/json")
            request.data = json.dumps(body).encode()
        with urllib.request.urlopen(request, timeout=60, context=self.trusted) as answer:
            return json.loads(answer.read())

    def write(self, title: str, words: str) -> str:
        said: dict[str, object] = {"id": "1", "role": "user", "content": words, "parentId": None, "childrenIds": []}
        chat = {"title": title, "history": {"messages": {"1": said}, "currentId": "1"}, "messages": [said]}
        made = self.ask("chats/new", {"chat": chat})
        return str(made["id"])

    def words_of(self, chat: str) -> str:
        return str(self.ask(f"chats/{chat}")["chat"]["messages"][0]["content"])


def engine_of(stack: Stack) -> str:
    """The digest of the part that runs as the engine; empty while none does."""
    return next((one.part for one in containers.running(stack.state) if one.service == "llm"), "")


def since(stack: Stack) -> dict[str, tuple[str, str]]:
    """What people look at, and since when it runs."""
    there = {name: stack.of(name) for name in ("webui", "gateway")}
    return {name: (one["Id"], one["State"]["StartedAt"]) for name, one in there.items()}


def test_a_slower_and_a_broken_engine_give_way_and_every_chat_is_there(stack: Stack, tmp_path: Path) -> None:
    page, first, shown = Page(stack), engine_of(stack), since(stack)
    before = page.write("Rack seven", "The pump is called Gertrude.")
    meanwhile: list[str] = []

    def write_under_the_next() -> None:
        deadline = time.monotonic() + 120
        while engine_of(stack) in (first, ""):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        meanwhile.append(page.write("Meanwhile", "Written while the next release was measured."))

    writer = threading.Thread(target=write_under_the_next)
    writer.start()
    slower = stack.run("upgrade", "--set", "engine.threads=64", timeout=300)
    writer.join()
    assert slower.returncode == 4, slower.stderr
    assert "slower than is tolerated" in slower.stderr
    assert page.words_of(before) == "The pump is called Gertrude."
    assert page.words_of(meanwhile[0]) == "Written while the next release was measured."

    assert since(stack) == shown, "for another engine nobody's page is made anew"

    broken = stack.run("upgrade", "--model", mute(tmp_path / "mute.gguf"), "--context", "512", timeout=300)
    assert broken.returncode == 4, broken.stderr
    assert stack.json("status")["healthy"] is True
    assert {page.words_of(before), page.words_of(meanwhile[0])} == {
        "The pump is called Gertrude.",
        "Written while the next release was measured.",
    }
