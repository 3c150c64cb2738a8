"""What the gateway shows to clients holds for a while yet."""

from collections.abc import Iterator

from provisioner.checks._certificates import findings
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View


def run(view: View) -> Iterator[Finding]:
    return findings(view.certificates)


CHECK = Check(name="certificate_valid", stage="drift", run=run)
