"""Every service has its process."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.report import ServiceObserved

OUT_OF_MEMORY = "out of memory"
"""In the runtime's word for a container."""


def run(view: View) -> Iterator[Finding]:
    for seen in view.observed.services if view.observed and not view.observed.silence else ():
        if seen.process_state is None or seen.process_state in "ZX":
            yield _ended(view, seen)


def _ended(view: View, seen: ServiceObserved) -> Finding:
    """With the cause where it is known, else with its last words."""
    from provisioner.checks._causes import named  # A plan asks none of this.

    if OUT_OF_MEMORY in seen.container_state:
        told = f"{view.plan.hostname}: {seen.name} was ended by the kernel: it wanted more memory than its limit (out-of-memory)"
        return Finding(
            "process-alive",
            "error",
            told,
            fix="a smaller `--context` or `--concurrency`, or a higher `--set memory_max_bytes=…`",
        )
    cause = named(view, seen)
    if cause is not None:
        told = f"{view.plan.hostname}: {seen.name} does not run: {cause.says} ({cause.id})"
        return Finding("process-alive", "error", told, fix=cause.fix)
    said = _last_words(seen.log_tail)
    state = f" ({seen.container_state})" if seen.container_state else ""
    words = f"{state}; its last words: {said}" if said else state
    return Finding(
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
