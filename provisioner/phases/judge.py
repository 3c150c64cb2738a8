"""Hold what is known against the rules."""

from collections.abc import Mapping
from typing import cast

from provisioner import catalog
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

FOLDERS = {"drift": "provisioner.checks.drift"}
"""A rule is imported to see its stage, so those that only `doctor` asks lie apart: each plan would pay for them."""


def judge(stage: str, view: View) -> tuple[Finding, ...]:
    """All findings of all checks of a stage, not only the first."""
    checks = cast(Mapping[str, Check], catalog.scan(FOLDERS.get(stage, "provisioner.checks"), "CHECK"))
    return tuple(finding for check in checks.values() if check.stage == stage for finding in check.run(view))
