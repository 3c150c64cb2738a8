"""The only place that knows terminals: colour, width, streams, and the live view of a run."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

from provisioner.errors import RunFailed, UserError
from provisioner.views.layout import Look, harmless

if TYPE_CHECKING:
    from provisioner.live import Steps

PLAIN_WIDTH = 100
"""Where nobody tells a width: in a pipe, and on a terminal that was never given a size."""


class Screen:
    """Standard output for the answer, standard error for everything else."""

    def __init__(
        self, out: TextIO | None, err: TextIO | None, environment: Mapping[str, str], *, json: bool = False
    ) -> None:
        """A stream that the caller closed is None, as Python has it."""
        self.out = out or _nowhere()
        self.err = err or _nowhere()
        self.json = json
        self._environment = environment
        self._state_dir = ""
        self._answered = False
        for stream in (self.out, self.err):
            _never_fail_to_encode(stream)

    def is_about(self, state_dir: str) -> None:
        """The operator named a state folder: every command that is told from here on names it as well."""
        self._state_dir = state_dir

    @property
    def look(self) -> Look:
        """For what is written to standard output."""
        return _look(self.out, self._environment, self._state_dir)

    @property
    def error_look(self) -> Look:
        return _look(self.err, self._environment, self._state_dir)

    @property
    def terminal(self) -> bool:
        """Whether a person's terminal shows standard output."""
        return _terminal(self.out, self._environment)

    def show(self, text: str) -> bool:
        """Write to standard output; False when its reader has gone away."""
        try:
            self.out.write(text if text.endswith("\n") else f"{text}\n")
            self.out.flush()
        except BrokenPipeError:
            _forget(self.out)
            return False
        except OSError as error:
            _forget(self.out)
            raise RunFailed(f"standard output: {error.strerror}", fix="write it to a place that has room") from None
        return True

    def document(self, document: object) -> None:
        """The one JSON document of this call."""
        from json import dumps

        self._answered = True
        self.show(dumps(_with_commands(document, self.look), indent=2, ensure_ascii=False))

    def note(self, text: str) -> None:
        """Write to standard error; nobody reading it never stops the work."""
        try:
            self.err.write(f"{text}\n")
            self.err.flush()
        except OSError:
            _forget(self.err)

    def error(self, error: UserError) -> int:
        """Tell what is wrong and what to do; the exit code is returned."""
        look = self.error_look
        self.note(f"{look.paint('error:', 'bold', 'red')} {_told(error.message)}")
        for detail in error.details:
            self.note(f"  {_told(detail)}")
        if error.fix:
            self.note(f"{look.paint('fix:', 'bold', 'green')} {_told(look.commands(error.fix))}")
        if self.json and not self._answered:
            self.document(
                {
                    "schema": "provision.error/1",
                    "error": error.message,
                    "details": list(error.details),
                    "fix": error.fix,
                    "exit_code": error.code,
                }
            )
        return error.code

    def progress(self) -> "Steps":
        """The live view on a terminal, one line for each finished step elsewhere."""
        from provisioner.live import Steps

        live = _terminal(self.err, self._environment)
        return Steps(self.note, self._rewrite if live else None, lambda: self.error_look, tell_plan=not self.json)

    def _rewrite(self, text: str) -> None:
        """Replace the line that the cursor stands on."""
        try:
            self.err.write(f"\r\x1b[2K{text}")
            self.err.flush()
        except OSError:
            _forget(self.err)


def _told(text: str) -> str:
    """Whatever a message quotes, only our own `error:` and `fix:` stand at the start of a line."""
    return harmless(text).replace("\n", "\n    ")


def _with_commands(document: object, look: Look) -> object:
    """The document, and what it says under `fix` as this operator has to type it."""
    if isinstance(document, list):
        return [_with_commands(item, look) for item in document]
    if not isinstance(document, dict) or not look.state_dir:
        return document
    return {
        key: look.commands(value) if key == "fix" and isinstance(value, str) else _with_commands(value, look)
        for key, value in document.items()
    }


def _look(stream: TextIO, environment: Mapping[str, str], state_dir: str) -> Look:
    colour = _terminal(stream, environment) and not environment.get("NO_COLOR")
    return Look(_width(stream, environment), colour, _writes_signs(stream), state_dir)


def _terminal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    try:
        return stream.isatty() and environment.get("TERM", "dumb") != "dumb"
    except ValueError:  # The stream is closed.
        return False


def _width(stream: TextIO, environment: Mapping[str, str]) -> int:
    told = environment.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told) > 0:
        return max(int(told), 20)
    try:
        told_by_kernel = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return PLAIN_WIDTH
    return max(told_by_kernel, 20) if told_by_kernel else PLAIN_WIDTH


def _writes_signs(stream: TextIO) -> bool:
    try:
        "─█░✓·→…".encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _never_fail_to_encode(stream: TextIO) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _forget(stream: TextIO) -> None:
    """Send what is still to come nowhere, so that closing the stream at the end does not fail either."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):
        return
