"""What is known of terminals: when there is colour, how wide lines are, what happens to a stream that fails."""

import io
import os
import pty
from collections.abc import Iterator, Mapping
from json import loads
from typing import TextIO

import pytest

from provisioner.commands import COMMANDS
from provisioner.console import Screen
from provisioner.errors import Refused, RunFailed
from provisioner.views.layout import (
    STATEFUL,
    Look,
    clipped,
    columns,
    count,
    duration,
    harmless,
    meter,
    remedy,
    size,
    table,
    wrapped,
)

COLOURFUL = {"TERM": "xterm-256color"}


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The near end of a real terminal; what is written is thrown away."""
    far, near = pty.openpty()
    with open(near, "w", encoding="utf-8") as stream:
        yield stream
    os.close(far)


def look(stream: TextIO, environment: Mapping[str, str]) -> Look:
    return Screen(stream, io.StringIO(), environment).look


def test_a_terminal_has_colour(terminal: TextIO) -> None:
    assert look(terminal, COLOURFUL).colour


@pytest.mark.parametrize("environment", [{}, {"TERM": "dumb"}, {**COLOURFUL, "NO_COLOR": "1"}])
def test_nobody_gets_colour_who_does_not_want_it(terminal: TextIO, environment: Mapping[str, str]) -> None:
    assert not look(terminal, environment).colour


def test_an_empty_no_color_is_none(terminal: TextIO) -> None:
    assert look(terminal, {**COLOURFUL, "NO_COLOR": ""}).colour


def test_a_pipe_has_no_colour() -> None:
    reader, writer = os.pipe()
    with open(reader), open(writer, "w", encoding="utf-8") as stream:
        assert look(stream, COLOURFUL) == Look(100, colour=False, signs=True)


@pytest.mark.parametrize(("said", "width"), [("80", 80), ("5", 20), ("0", 100), ("wide", 100), ("", 100)])
def test_the_width_that_the_environment_tells(said: str, width: int) -> None:
    assert look(io.StringIO(), {"COLUMNS": said}).width == width


def test_the_width_of_a_terminal(terminal: TextIO) -> None:
    import fcntl
    import struct
    import termios

    fcntl.ioctl(terminal.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, 132, 0, 0))
    assert look(terminal, COLOURFUL).width == 132


def test_signs_only_where_they_can_be_written() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    screen = Screen(stream, io.StringIO(), {})
    assert not screen.look.signs
    screen.show("γ ✓")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\u03b3 \\u2713\n"


def test_a_name_that_is_not_utf8_is_shown_and_not_fatal() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert Screen(stream, io.StringIO(), {}).show(os.fsdecode(b"/weights/\xff.gguf"))


def test_a_reader_that_has_gone_away_ends_the_showing_and_not_the_run() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        screen = Screen(stream, stream, {})
        assert not screen.show("x")
        screen.note("y")


def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "w", encoding="utf-8") as stream, pytest.raises(RunFailed, match="No space left on device"):
        Screen(stream, io.StringIO(), {}).show("x")


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "0 B"), (512, "512 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (7 * 2**30 + 2**29, "7.5 GiB"),
     (24 * 2**30, "24 GiB"), (141 * 2**30 + 1, "141 GiB"), (2**40, "1 TiB"), (3 * 2**60, "3072 PiB")],
)  # fmt: skip
def test_sizes(amount: int, words: str) -> None:
    assert size(amount) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 ms"), (0.0451, "45 ms"), (0.9999, "1 s"), (1.04, "1 s"), (3.25, "3.2 s"), (59.96, "1 min 0 s"), (125, "2 min 5 s"), (3599.9, "1 h 0 min"), (4800, "1 h 20 min")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_counting_words() -> None:
    assert (count(1, "core"), count(2, "core"), count(1200, "entry", "entries")) == (
        "1 core",
        "2 cores",
        "1,200 entries",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("provision up", "provision up --state-dir /srv/a"),
        ("`provision up --context 4096`", "`provision up --state-dir /srv/a --context 4096`"),
        (
            "provision down, then provision up   (again)",
            "provision down --state-dir /srv/a, then provision up --state-dir /srv/a   (again)",
        ),
        ("sudo provision check", "sudo provision check --state-dir /srv/a"),
        ("choose another with --state-dir", "choose another with --state-dir"),
        ("`provision down --state-dir` the state", "`provision down --state-dir` the state"),
        ("name what `provision detect --json` wrote", "name what `provision detect --json` wrote"),
        ("look at /opt/provision up there", "look at /opt/provision up there"),
        ("provision upgrade", "provision upgrade --state-dir /srv/a"),
        ("provision uplink", "provision uplink"),
    ],
)
def test_a_command_names_the_state_folder_that_the_operator_named(text: str, told: str) -> None:
    assert Look(state_dir="/srv/a").commands(text) == told
    assert Look(state_dir="/srv/a").commands(told) == told
    assert Look().commands(text) == text


def test_a_state_folder_with_a_space_can_be_copied() -> None:
    assert Look(state_dir="/srv/a b").commands("provision up") == "provision up --state-dir '/srv/a b'"


def test_every_command_that_looks_at_the_state_is_known() -> None:
    assert set(STATEFUL) == set(COMMANDS) - {"detect", "completion"}


def test_a_remedy_that_is_a_command_is_never_broken() -> None:
    assert remedy("provision up   (or not)", Look(20, state_dir="/srv/a-long-name"), "  ") == [
        "  fix: provision up --state-dir /srv/a-long-name   (or not)"
    ]
    assert remedy("wait for it to end, and then go on", Look(20, state_dir="/srv/a"), "  ") == [
        "  fix: wait for it",
        "       to end, and",
        "       then go on",
    ]


@pytest.mark.parametrize("json", [False, True])
def test_errors_and_documents_name_the_state_folder_in_their_remedies_alone(json: bool) -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err, {}, json=json)
    screen.is_about("/srv/a")
    screen.error(Refused("`provision up` runs", fix="provision status"))
    assert err.getvalue() == "error: `provision up` runs\nfix: provision status --state-dir /srv/a\n"
    if json:
        assert '"error": "`provision up` runs"' in out.getvalue()
        assert '"fix": "provision status --state-dir /srv/a"' in out.getvalue()


def test_the_findings_of_a_document_name_it_too() -> None:
    out = io.StringIO()
    screen = Screen(out, io.StringIO(), {}, json=True)
    screen.is_about("/srv/a")
    screen.document({"findings": [{"message": "provision up", "fix": "provision up"}]})
    assert loads(out.getvalue()) == {
        "findings": [{"message": "provision up", "fix": "provision up --state-dir /srv/a"}]
    }


def test_wrapping_never_breaks_a_word() -> None:
    assert wrapped("a bb ccc", 5) == ["a bb", "ccc"]
    assert wrapped("abcdefgh i", 4, "> ", "  ") == ["> abcdefgh", "  i"]
    assert wrapped("", 10) == []


def test_wide_letters_take_two_columns() -> None:
    assert columns("模型") == 4
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1
    assert clipped("模型模型", 5) == "模型…"
    assert table([("模型", "x"), ("a", "y")], Look(), "") == ["模型  x", "a     y"]


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    assert harmless("a\x1b]0;x\x07b\r\u202ec\n\td") == "a�]0;x�b��c\n\td"
    assert harmless("plain — ✓") == "plain — ✓"


def test_a_meter_is_as_wide_as_told_and_shows_every_part() -> None:
    plain = Look(signs=False)
    assert meter(((50, "W"), (25, "K")), 100, 8, plain) == "WWWWKK.."
    assert meter(((1, "W"), (10**12, "K"), (0, "A")), 10**12, 10, plain) == "WKKKKKKKKK"
    assert meter((), 0, 4, plain) == "...."
