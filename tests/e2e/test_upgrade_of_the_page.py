"""From an older Open WebUI to a newer one, which changes the database: there, back, and cut off in between."""

import json
import os
import sqlite3
import subprocess
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.e2e.test_upgrade import mute
from tests.e2e.test_upgrade_page import Page
from tools import images, older, pyimages

pytestmark = [
    pytest.mark.needs("compose", "llamacpp", "gateway", "openwebui", "index", "registry"),
    pytest.mark.timeout(1800),
    pytest.mark.slow,
    pytest.mark.thorough,
]

OLD, NEW = "0.11.4", "0.12.4"
SAID = "The pump is called Gertrude."


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    older.bring()
    stack = Stack(str(tmp_path / "state"))
    stack.planned = planned(older.older())
    stack.ok("up", timeout=600)
    yield stack
    stack.end()


def planned(page: str) -> tuple[str, ...]:
    named = {
        "image": images.image("llamacpp"),
        "gateway.image": images.image("nginx"),
        "webui.image": page,
        "engine.threads": "1",
    }
    words = (word for key, value in named.items() for word in ("--set", f"{key}={value}"))
    return ("--profile", "demo", "--concurrency", "1", "--no-monitoring", *words)


def version(stack: Stack) -> str:
    return str(json.loads(stack.door.ask("/api/version")[1])["version"])


def form(stack: Stack) -> str:
    """What the database's migrations note of it."""
    with closing(sqlite3.connect(f"file:{stack.state}/data/openwebui/webui.db?mode=ro", 30, uri=True)) as database:
        ((noted,),) = database.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(noted)


def test_there_and_back_with_every_chat(stack: Stack, tmp_path: Path) -> None:
    first, written = form(stack), Page(stack).write("Rack seven", SAID)
    assert version(stack) == OLD

    stack.planned = planned(pyimages.image(pyimages.OPEN_WEBUI))
    stack.ok("upgrade", "--accept-slower", timeout=600)
    assert (version(stack), form(stack) != first) == (NEW, True)
    page = Page(stack)
    assert page.words_of(written) == SAID
    later = page.write("Later", "Written in the newer one.")

    stack.ok("rollback", "--with-data", timeout=600)
    assert (version(stack), form(stack)) == (OLD, first)
    assert Page(stack).words_of(written) == SAID
    with pytest.raises(urllib.error.HTTPError):
        Page(stack).words_of(later)

    broken = stack.run("upgrade", "--model", mute(tmp_path / "mute.gguf"), "--context", "512", timeout=900)
    assert broken.returncode == 4, broken.stderr
    assert "with the data from before it" in broken.stderr
    assert (version(stack), form(stack)) == (OLD, first)
    assert Page(stack).words_of(written) == SAID


def test_killed_once_the_database_is_the_newer_ones(stack: Stack) -> None:
    first, written = form(stack), Page(stack).write("Rack seven", SAID)
    old, stack.planned = stack.planned, planned(pyimages.image(pyimages.OPEN_WEBUI))
    killed = subprocess.Popen(stack.words("upgrade"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while form(stack) == first:
        assert time.monotonic() < deadline
        assert killed.poll() is None
        time.sleep(0.2)
    killed.kill()
    killed.wait(30)

    stack.planned = old
    done = stack.json("up", timeout=600)
    assert "data-back" in {one["id"] for one in done["findings"]}
    assert (version(stack), form(stack)) == (OLD, first)
    assert Page(stack).words_of(written) == SAID
    assert [name for name in os.listdir(f"{stack.state}/data") if name.startswith("left-")]
    assert stack.json("up")["changed"] is False
