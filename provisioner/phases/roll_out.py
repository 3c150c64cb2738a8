"""Carry out effects in their order, each journaled before and after."""

import time
from typing import Protocol

from provisioner.errors import UserError
from provisioner.model.actions import Action
from provisioner.model.progress import Progress
from provisioner.model.release import Step


class Hands(Protocol):
    """Whoever carries an effect out: the world, or a world made up in memory."""

    def carry_out(self, action: Action) -> None: ...


class Journal(Protocol):
    """Where a run notes what it does."""

    def note(self, run: int, step: int, action: str, result: str, seconds: float | None = None) -> None: ...


def roll_out(
    actions: tuple[Action, ...], hands: Hands, journal: Journal, run: int, done: tuple[Step, ...], progress: Progress
) -> tuple[Step, ...]:
    """All steps of the run so far, with these behind them; the first failure ends it and is noted."""
    steps = list(done)
    for action in actions:
        line, number, began = str(action), len(steps) + 1, time.monotonic()
        progress.step(line)
        journal.note(run, number, line, "doing")
        try:
            hands.carry_out(action)
        except BaseException as error:
            told = f"failed: {_why(error)}" if isinstance(error, Exception) else "not finished: interrupted"
            progress.done(told)
            journal.note(run, number, line, told, time.monotonic() - began)
            raise
        seconds = time.monotonic() - began
        journal.note(run, number, line, "done", seconds)
        progress.done("done")
        steps.append(Step(line, "done", seconds))
    return tuple(steps)


def _why(error: Exception) -> str:
    return error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
