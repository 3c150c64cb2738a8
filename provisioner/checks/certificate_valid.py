"""What the gateway shows to clients has not expired, and does not within a month."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View


def run(view: View) -> Iterator[Finding]:
    if view.certificates:
        from provisioner.checks._certificates import findings  # A plan asks none of this.

        yield from findings(view.certificates, view.plan.hostname)


CHECK = Check(name="certificate_valid", stage="after", run=run)
