"""The container engine tells how its containers are; while it is silent, nothing is said of them that nobody knows."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

FIX = "systemctl start docker   (`journalctl -u docker` tells why it ended)"


def run(view: View) -> Iterator[Finding]:
    if view.observed and view.observed.silence:
        yield finding(view.plan.hostname, view.observed.silence)


def finding(host: str, why: str) -> Finding:
    what = f"{host}: Docker Engine does not answer ({why}): whether its containers run is not known"
    return Finding("docker-answers", "error", what, fix=FIX)


CHECK = Check(name="docker_answers", stage="after", run=run)
