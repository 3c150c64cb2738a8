"""The whole appliance with several models: the chat page offers them all, Prometheus has them all, and another one joins them."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import browser
from tests.e2e.several import models, tiny
from tests.e2e.stack import Stack
from tests.e2e.test_appliance import appliance, prometheus
from tools import images

pytestmark = [
    pytest.mark.needs("compose", "gateway", "openwebui", "prometheus", "llamacpp", "browser"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]

GROWN = 4
"""How often the page shows a longer text than before, of an answer that comes in pieces."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = appliance(tmp_path, "--set", f"image={images.image('llamacpp')}", "--set", "threads=1")
    yield stack
    stack.end()


def scraped(stack: Stack) -> set[str]:
    """The models whose engines Prometheus reaches."""
    return {one["metric"]["model"] for one in prometheus(stack, 'up{job="engine"} == 1')}


def test_chat_page_and_prometheus_have_each_model_and_the_page_stays_when_another_comes(
    stack: Stack, tmp_path: Path
) -> None:
    alpha, beta, gamma = (tiny(tmp_path, name, place) for place, name in enumerate(("alpha", "beta", "gamma")))
    stack.ok("up", *models(alpha, beta), timeout=600)
    assert stack.door.ask("/v1/models", stack.key)[0] == 200
    page, person = stack.of("webui")["Id"], signed_in(stack)
    assert offered(stack, person) == {"alpha", "beta"}
    answer = answered(stack, "beta")
    assert answer.text
    assert answer.states >= GROWN, answer
    assert talked_to(stack, person) == ["beta"]
    until(lambda: scraped(stack), {"alpha", "beta"})

    stack.ok("up", *models(alpha, beta, gamma), timeout=600)
    assert stack.of("webui")["Id"] == page
    assert offered(stack, person) == {"alpha", "beta", "gamma"}
    until(lambda: scraped(stack), {"alpha", "beta", "gamma"})
    assert stack.json("up", *models(alpha, beta, gamma), timeout=300)["changed"] is False


def answered(stack: Stack, model: str) -> browser.Answer:
    """What somebody sees who chooses a model on the page and asks it something."""
    with browser.page(trust_any_certificate=True) as shown:
        browser.sign_in(shown, stack.door.address, "admin@localhost", password(stack))
        browser.choose(shown, model)
        return browser.ask(shown, "Tell me something.", enough=GROWN)


def password(stack: Stack) -> str:
    return Path(stack.state, "secrets", "webui-admin.password").read_text().strip()


def signed_in(stack: Stack) -> str:
    body = stack.door.ask("/api/v1/auths/signin", body={"email": "admin@localhost", "password": password(stack)})[1]
    return str(json.loads(body)["token"])


def offered(stack: Stack, person: str) -> set[str]:
    """The models that the chat page lists for somebody who has signed in."""
    return {one["id"] for one in json.loads(stack.door.ask("/api/models", person)[1])["data"]}


def talked_to(stack: Stack, person: str) -> list[str]:
    """The models of the last chat that the page keeps."""
    last = json.loads(stack.door.ask("/api/v1/chats/", person)[1])[0]["id"]
    return list(json.loads(stack.door.ask(f"/api/v1/chats/{last}", person)[1])["chat"]["models"])


def until(look: Callable[[], set[str]], wanted: set[str], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} and not {wanted}"
        time.sleep(1)
