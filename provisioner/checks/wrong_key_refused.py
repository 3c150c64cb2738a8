"""A request with a wrong key is refused."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

REFUSALS = (401, 403)


def run(view: View) -> Iterator[Finding]:
    from provisioner.checks._engines import keyed  # A plan asks none of this.

    for seen in keyed(view):
        status = seen.status_with_wrong_key
        if isinstance(status, Unknown) and not seen.goes_on:
            continue
        if isinstance(status, Unknown):
            why = f"it could not be tried whether a wrong key is refused: {status.reason}"
        elif status not in REFUSALS:
            why = f"a request with a wrong key is not refused (status {status})"
        else:
            continue
        yield Finding(
            "wrong-key-refused",
            "error",
            f"{view.plan.hostname}: {seen.name}: {why}",
            fix="provision down, then provision up   (the engine is started with its key file again)",
        )


CHECK = Check(name="wrong-key-refused", stage="after", run=run)
