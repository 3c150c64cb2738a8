"""The steps of a run while it runs: one moving line on a terminal, plain lines in a log."""

from collections.abc import Callable
from threading import Event, Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING

from provisioner.views.layout import Look, bare, clipped, columns, duration, harmless, meter, size

if TYPE_CHECKING:
    from provisioner.model.outcome import Planned

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
REFRESH_SECONDS = 0.1
QUIET_SECONDS = 10.0
"""How long a transfer may stay silent in a log before it says how far it is."""


class Steps:
    """Shows each step; `rewrite` replaces the current line of a terminal, None where there is none."""

    def __init__(
        self,
        note: Callable[[str], None],
        rewrite: Callable[[str], None] | None,
        look: Callable[[], Look],
        *,
        tell_plan: bool = True,
    ) -> None:
        self._note = note
        self._rewrite = rewrite
        self._look = look
        self._title = ""
        self._began = self._told = 0.0
        self._moved: tuple[int, int] | None = None
        self._tell_plan = tell_plan
        self._ended, self._writing = Event(), Lock()
        self._ticker = Thread(target=self._tick, daemon=True)

    def __enter__(self) -> "Steps":
        if self._rewrite:
            self._ticker.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._ended.set()
        if self._ticker.ident:
            self._ticker.join()
        if self._title:
            self.done("not finished")

    def planned(self, planned: "Planned") -> None:
        """Show the first round's plan; later rounds make the same one with more of it known."""
        from provisioner.views.plan import preview

        if self._tell_plan and planned.actions:
            self._note(preview(planned, self._look()))
            self._tell_plan = False

    def step(self, title: str) -> None:
        self._began = self._told = monotonic()
        self._moved, self._title = None, harmless(title)

    def done(self, result: str) -> None:
        title, self._title = self._title, ""
        mark, _, why = result.partition(": ")
        look = self._look()
        good = mark not in ("failed", "not finished")
        sign = look.paint(look.sign("✓", "ok"), "green") if good else look.paint(look.sign("✗", "!!"), "red")
        took = look.paint(f"{duration(monotonic() - self._began):>10}", "dim")
        said = "" if mark == "done" else f": {result if good or not why else why}"
        with self._writing:
            if self._rewrite:
                self._rewrite("")
            self._note(f"{sign} {took}  {title}{harmless(said)}")

    def bytes(self, done: int, total: int) -> None:
        self._moved = (done, total)
        if not self._rewrite and monotonic() - self._told >= QUIET_SECONDS:
            self._told = monotonic()
            self._note(f"{'':>12}  {self._transfer(self._look())}")

    def _tick(self) -> None:
        turn = 0
        while not self._ended.wait(REFRESH_SECONDS):
            with self._writing:
                if self._title and self._rewrite:
                    turn += 1
                    self._rewrite(self._line(FRAMES[turn % len(FRAMES)]))

    def _line(self, frame: str) -> str:
        look = self._look()
        took = duration(monotonic() - self._began)
        way = self._transfer(look)
        room = look.width - 1 - len(f"x {took:>10}  ")
        words = clipped(self._title, max(room - columns(way) - 2, 8)) if way else self._title
        words = f"{words}  {way}" if way else words
        sign = look.paint(look.sign(frame, "*"), "cyan")
        return f"{sign} {look.paint(f'{took:>10}', 'dim')}  {words if columns(words) <= room else clipped(bare(words), room)}"

    def _transfer(self, look: Look) -> str:
        if not self._moved or self._moved[0] <= 0:
            return ""
        done, total = self._moved
        speed = done / max(monotonic() - self._began, 0.001)
        if total <= 0:
            return f"{size(done)}, {size(int(speed))}/s"
        left = duration((total - done) / speed)
        bar = f"{meter(((done, '#'),), total, 12, look)} " if look.width >= 90 else ""
        return f"{bar}{size(done)} of {size(total)}, {size(int(speed))}/s, {left} left"
