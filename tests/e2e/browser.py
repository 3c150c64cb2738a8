"""A real browser on the chat page: signs in as a person does, asks, and sees the answer grow."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright
from playwright.sync_api import TimeoutError as NotSeen

from tests.e2e import secluded

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip

TRIES, TRY_SECONDS = 6, 45

ANSWER = ".chat-assistant"
"""The answer's own text; what stands around it (name, time, buttons) is not in it."""
STOP = "button[aria-label=Stop]"
"""Open WebUI shows it as long as an answer grows."""
PRESS = "button => document.querySelector(button)?.click()"
"""Looks and presses in one step: between two, the answer ends by itself, and a button that has gone is waited for in vain."""
WATCH = """([answer, before]) => {
    window.growth = {states: 0, length: 0};
    new MutationObserver(() => {
        const length = document.querySelectorAll(answer)[before]?.innerText.trim().length ?? 0;
        if (length > window.growth.length) Object.assign(window.growth, {states: window.growth.states + 1, length});
    }).observe(document.body, {childList: true, characterData: true, subtree: true});
}"""
"""The page counts itself: asked from outside, on a machine that is busy, a whole answer can pass between two looks."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    states: int
    """How often the page showed a longer text than before: 1 for one that came in one piece."""


@contextmanager
def page(trust_any_certificate: bool = False, patience: float = 120) -> Iterator[Page]:
    """A fresh browser without a profile, which waits so many seconds for what it looks for."""
    with secluded.network() as apart, tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=apart.program(Path(folder), CHROMIUM),
            args=[*ARGUMENTS, f"--proxy-server={apart.proxy}", "--proxy-bypass-list=<-loopback>"],
        )
        try:
            shown = browser.new_page(ignore_https_errors=trust_any_certificate)
            shown.set_default_timeout(patience * 1000)
            yield shown
        finally:
            browser.close()


def sign_in(shown: Page, address: str, email: str, password: str) -> None:
    """Again, where the page is not there in time: beside engines that start, it loads for long."""
    for _ in range(TRIES):
        with suppress(Error):
            shown.goto(f"{address}/")
            shown.locator("#chat-input, input[type=email]").first.wait_for(timeout=TRY_SECONDS * 1000)
            if shown.locator("input[type=email]").count():
                shown.fill("input[type=email]", email)
                shown.fill("input[type=password]", password)
                shown.keyboard.press("Enter")
            shown.wait_for_selector("#chat-input", timeout=TRY_SECONDS * 1000)
            _close_news(shown)
            return
    raise AssertionError(f"nobody could sign in at {address}: {shown.locator('body').inner_text()!r}")


def _close_news(shown: Page) -> None:
    """What is new in this release is shown once to each person, a moment after the page."""
    try:
        shown.get_by_role("dialog").get_by_role("button").last.click(timeout=5000)
    except NotSeen:
        return
    shown.get_by_role("dialog").wait_for(state="hidden")


def models(shown: Page) -> list[str]:
    """The names that the page offers."""
    shown.click("[id^=model-selector][id$=-button]")
    shown.wait_for_selector("[role=option]")
    named = [option.inner_text().splitlines()[0].strip() for option in shown.query_selector_all("[role=option]")]
    shown.keyboard.press("Escape")
    return named


def choose(shown: Page, model: str) -> None:
    shown.click("[id^=model-selector][id$=-button]")
    shown.locator("[role=option]", has_text=model).first.click()


def ask(shown: Page, question: str, enough: int = 8, patience: float = 120) -> Answer:
    """Send a question, and watch its answer until it is complete or was seen to grow often enough; then stop it.

    A model that speaks gibberish has no reason to end before its context does.
    """
    before = shown.locator(ANSWER).count()
    shown.evaluate(WATCH, [ANSWER, before])
    shown.click("#chat-input")
    shown.keyboard.type(question)
    shown.locator("#chat-input", has_text=question).wait_for()
    shown.keyboard.press("Enter")
    answer = shown.locator(ANSWER).nth(before)
    answer.wait_for(timeout=patience * 1000)
    text, states, until = "", 0, time.monotonic() + patience
    while states < enough and (not text or shown.locator(STOP).count()):
        if time.monotonic() > until:
            raise AssertionError(
                f"after {patience:.0f} s the answer is {text!r}: {shown.locator('main').inner_text()!r}"
            )
        text, states = answer.inner_text().strip() or text, shown.evaluate("() => window.growth.states")
    shown.evaluate(PRESS, STOP)
    shown.locator(STOP).wait_for(state="hidden")
    # Where the page writes the answer anew after a stop, there is nothing for a moment.
    return Answer(answer.inner_text().strip() or text, shown.evaluate("() => window.growth.states"))
