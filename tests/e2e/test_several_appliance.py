"""The whole appliance with several models: a browser is offered them all, Prometheus has them all, and another one joins them."""

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
    pytest.mark.needs("compose", "gateway", "openwebui", "prometheus", "browser", "llamacpp"),
    pytest.mark.timeout(900),
    pytest.mark.slow,
]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = appliance(tmp_path, "--set", f"image={images.image('llamacpp')}", "--set", "threads=1")
    yield stack
    stack.end()


def scraped(stack: Stack) -> set[str]:
    """The models whose engines Prometheus reaches."""
    return {one["metric"]["model"] for one in prometheus(stack, 'up{job="engine"} == 1')}


def test_a_browser_and_prometheus_see_each_model_and_the_page_stays_when_another_comes(
    stack: Stack, tmp_path: Path
) -> None:
    alpha, beta, gamma = (tiny(tmp_path, name, place) for place, name in enumerate(("alpha", "beta", "gamma")))
    stack.ok("up", *models(alpha, beta), timeout=600)
    assert stack.door.ask("/v1/models", stack.key)[0] == 200
    page = stack.of("webui")["Id"]
    password = Path(stack.state, "secrets", "webui-admin.password").read_text().strip()
    with browser.page(trust_any_certificate=True) as shown:
        browser.sign_in(shown, stack.door.address, "admin@localhost", password)
        assert set(browser.models(shown)) >= {"alpha", "beta"}
        browser.choose(shown, "alpha")
        assert browser.ask(shown, "Tell me something.", enough=3).text
        until(lambda: scraped(stack), {"alpha", "beta"})

        stack.ok("up", *models(alpha, beta, gamma), timeout=600)
        assert stack.of("webui")["Id"] == page
        shown.reload()
        shown.wait_for_selector("#chat-input")
        assert set(browser.models(shown)) >= {"alpha", "beta", "gamma"}
    until(lambda: scraped(stack), {"alpha", "beta", "gamma"})
    assert stack.json("up", *models(alpha, beta, gamma), timeout=300)["changed"] is False


def until(look: Callable[[], set[str]], wanted: set[str], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        assert time.monotonic() < deadline, f"{seen} and not {wanted}"
        time.sleep(1)
