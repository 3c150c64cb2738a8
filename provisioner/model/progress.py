"""How long work tells that it goes on; whoever shows it decides how."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from provisioner.model.outcome import Planned


class Progress(Protocol):
    """One step at a time: `step` opens it, `bytes` moves it forward, `done` closes it."""

    def planned(self, planned: "Planned") -> None:
        """A round's plan is made, and nothing of it is done yet."""

    def step(self, title: str) -> None:
        """A step begins; the title is what a person reads, an action's string where there is one."""

    def done(self, result: str) -> None:
        """The step ended: `done`, or `failed: <why>`; any other short text is shown after the title."""

    def bytes(self, done: int, total: int) -> None:
        """The step has moved this many bytes of so many; 0 when the total is not known."""


class Silent:
    """Progress that nobody watches."""

    def planned(self, planned: "Planned") -> None:
        pass

    def step(self, title: str) -> None:
        pass

    def done(self, result: str) -> None:
        pass

    def bytes(self, done: int, total: int) -> None:
        pass
