"""What a person and a script see of a real journey: on a terminal, in a pipe, as JSON."""

import os
import pty
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from provisioner.views.layout import bare
from tests.e2e.appliance import Appliance
from tests.unit.views.test_documents import hold

pytestmark = [pytest.mark.needs("embedded")]


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"))
    yield appliance
    appliance.end()


def on_terminal(words: list[str], environment: Mapping[str, str]) -> tuple[int, str]:
    """The exit code and everything that a terminal was sent."""
    far, near = pty.openpty()
    told = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(words, stdin=near, stdout=near, stderr=near, env={**told, **environment})
    os.close(near)
    seen = b""
    while True:
        try:
            piece = os.read(far, 65536)
        except OSError:  # The last program has closed its end.
            break
        if not piece:
            break
        seen += piece
    os.close(far)
    return process.wait(60), seen.decode()


def test_a_terminal_sees_the_plan_the_steps_and_the_endpoint_in_colour(appliance: Appliance) -> None:
    code, seen = on_terminal(appliance.words("up"), {"TERM": "xterm-256color"})
    assert code == 0
    assert "\x1b[32m✓\x1b[0m" in seen
    assert "\r\x1b[2K" in seen
    plain = bare(seen.replace("\x1b[2K", ""))
    parts = (
        "✓ fits",
        "Memory",
        "The engine answered",
        "Authorization: Bearer $(cat ",
        "from openai import OpenAI",
        f"Your new key: {appliance.key}",
    )
    places = [plain.index(part) for part in parts]
    assert places == sorted(places)
    again = on_terminal(appliance.words("up"), {"TERM": "xterm-256color"})[1]
    assert "nothing had to be done" in again
    assert appliance.key not in again


@pytest.mark.parametrize("environment", [{"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_who_wants_no_colour_gets_none(appliance: Appliance, environment: dict[str, str]) -> None:
    code, seen = on_terminal(appliance.words("plan"), environment)
    assert code == 0
    assert "\x1b" not in seen


def test_every_document_of_a_journey_keeps_its_schema(appliance: Appliance) -> None:
    for verb in ("up", "up", "status", "check", "history", "logs", "down", "status"):
        hold(appliance.json(verb))


def test_the_last_line_to_copy_works_when_pasted(appliance: Appliance) -> None:
    shown = appliance.ok("up").stdout
    lines = shown[shown.index("  curl ") :].split("\n\n")[0]
    done = subprocess.run(
        ["bash", "-c", lines.replace("  curl ", "curl -s --max-time 30 ", 1)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert '"content"' in done.stdout
