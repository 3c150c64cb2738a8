"""The steps of a run: plain lines in a log, one moving line on a terminal."""

import time

import pytest

from provisioner.live import Steps
from provisioner.views.layout import Look, bare, columns
from tests.unit.views import samples


class Paper:
    """Keeps what is written: whole lines, and what the moving line showed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.moving: list[str] = []


def plain(paper: Paper) -> Steps:
    return Steps(paper.lines.append, None, Look)


def moving(paper: Paper, width: int = 60) -> Steps:
    return Steps(paper.lines.append, paper.moving.append, lambda: Look(width, colour=True))


def until(reached: object, seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not reached() and time.monotonic() < ends:  # type: ignore[operator]
        time.sleep(0.01)
    assert reached()  # type: ignore[operator]


def test_a_log_has_one_line_for_each_finished_step() -> None:
    paper = Paper()
    with plain(paper) as steps:
        steps.step("ln a b")
        assert paper.lines == []
        steps.done("done")
        steps.step("wait until llm is ready")
        steps.done("ready after 0.4 s")
        steps.step("curl x")
        steps.done("failed: no route to host")
    good, said, failed = paper.lines
    assert good.startswith("✓ ")
    assert good.endswith(" ms  ln a b")
    assert said.endswith("wait until llm is ready: ready after 0.4 s")
    assert failed.startswith("✗ ")
    assert failed.endswith("curl x: no route to host")


def test_a_step_that_was_cut_off_is_told() -> None:
    paper = Paper()

    def cut_off() -> None:
        with plain(paper) as steps:
            steps.step("ln a b")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_off()
    assert len(paper.lines) == 1
    assert paper.lines[0].endswith("ln a b: not finished")


def test_a_terminal_shows_the_step_while_it_lasts_within_its_width() -> None:
    paper = Paper()
    with moving(paper, width=50) as steps:
        steps.step("curl -fL -C - -o /var/lib/provision/blobs/sha256/abab https://example.org/a")
        steps.bytes(2**20, 2**30)
        until(lambda: len(paper.moving) > 3)
        steps.done("done")
        shown = len(paper.moving)
    assert paper.moving[shown - 1] == ""
    assert len(set(paper.moving[: shown - 1])) > 1
    assert all(columns(line) < 50 for line in paper.moving)
    assert any("1 MiB of 1 GiB" in bare(line) for line in paper.moving)
    assert "curl" in paper.lines[0]


def test_nothing_moves_between_steps() -> None:
    paper = Paper()
    with moving(paper) as steps:
        steps.step("a")
        steps.done("done")
        seen = len(paper.moving)
        time.sleep(0.3)
        assert len(paper.moving) == seen


def test_titles_cannot_move_the_cursor() -> None:
    paper = Paper()
    with plain(paper) as steps:
        steps.step("ln \x1b[2J b")
        steps.done("failed: \x07")
    assert "\x1b" not in paper.lines[0]
    assert "\x07" not in paper.lines[0]


def test_the_plan_is_shown_once_and_only_when_something_is_done() -> None:
    paper = Paper()
    with plain(paper) as steps:
        steps.planned(samples.PLANNED)
        steps.planned(samples.PLANNED)
    assert len(paper.lines) == 1
    assert "16,384 tokens of context" in paper.lines[0]
