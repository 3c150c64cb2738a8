"""NVIDIA's container toolkit is not one from which a container can break out."""

from collections.abc import Iterator

from provisioner.checks.drift._nvidia import packages
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.upkeep import version_number

NAME = "toolkit_version"
GATES = (
    ("1.17.8", "error", "CVE-2025-23266: three lines in an image make it root of the host"),
    ("1.19.1", "warning", "CVE-2026-24260: a race lets an image run code outside of its container"),
)
"""The first version without the fault, NVIDIA's bulletins 5659 (July 2025) and 5850 (June 2026):
https://nvidia.custhelp.com/app/answers/detail/a_id/5659 and …/5850."""


def run(view: View) -> Iterator[Finding]:
    known = packages(view)
    package = known.get("nvidia-container-toolkit") or known.get("nvidia-container-toolkit-base")
    if package is None:
        return
    for least, level, why in GATES:
        if version_number(package.upstream) < version_number(least):
            told = f"NVIDIA's container toolkit is {package.upstream}, and {least} is the least that is safe: {why}"
            fix = f"`apt-get update && apt-get install --only-upgrade '{package.name}*' 'libnvidia-container*'`"
            yield Finding(NAME, level, told, fix=fix)
            return


CHECK = Check(name=NAME, stage="drift", run=run)
