"""Everything that stands beside the engines runs."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "containers_run"


def run(view: View) -> Iterator[Finding]:
    for seen in view.observed.beside if view.observed and not view.observed.silence else ():
        if not seen.well:
            what = f"{view.plan.hostname}: {seen.name} is not well: {seen.state}"
            fix = f"provision logs {seen.name}   (why), then provision up"
            yield Finding("containers-run", "error", what, fix=fix)


CHECK = Check(name=NAME, stage="after", run=run)
