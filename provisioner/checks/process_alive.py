"""Every service has its process."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View


def run(view: View) -> Iterator[Finding]:
    for seen in view.observed.services if view.observed else ():
        if seen.process_state is None or seen.process_state in "ZX":
            said = _last_words(seen.log_tail)
            words = f"; its last words: {said}" if said else ""
            yield Finding(
                "process-alive",
                "error",
                f"{view.plan.hostname}: {seen.name} does not run{words}",
                fix=f"provision logs {seen.name}   (why it ended), then provision up",
            )


def _last_words(log: tuple[str, ...]) -> str:
    """The engine's first error, or what it said last; its keeper only knows that it ended."""
    own = [line for line in log if " keeper: " not in line]
    errors = [line for line in own if " E " in line]
    return "".join(errors[:1] or own[-1:] or log[-1:]).strip()


CHECK = Check(name="process-alive", stage="after", run=run)
