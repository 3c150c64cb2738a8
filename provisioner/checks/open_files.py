"""The limit of open files is high enough: each request holds a few."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "open_files"


def run(view: View) -> Iterator[Finding]:
    limits = view.facts.limits
    if isinstance(limits, Unknown) or limits.open_files is None:
        return
    wanted = max((service.open_files for service in view.plan.services), default=0)
    if limits.open_files < wanted:
        yield Finding(
            NAME,
            "error",
            f"at most {limits.open_files} files may be open, and {wanted} are needed",
            fix=f"`ulimit -n {wanted}` in this shell, and `nofile` in /etc/security/limits.conf to keep it",
        )


CHECK = Check(name=NAME, stage="before", run=run)
