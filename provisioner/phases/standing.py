"""What is wrong with what stands, as far as it is seen without asking anybody: its container engine, its certificate, its disk."""

import os
from collections.abc import Iterator

from provisioner.model.plan import Finding, Plan
from provisioner.model.plugins import Place

FULL_BYTES = 2 << 30
"""While more is left `status` says nothing of the disk; `doctor` does earlier."""


def findings(plan: Plan, place: Place, silence: str) -> Iterator[Finding]:
    if silence:
        from provisioner.checks.docker_answers import finding

        yield finding(plan.hostname, silence)
    if plan.makes:
        from provisioner.checks._certificates import findings as of_certificates
        from provisioner.phases.observe import certificates_of

        yield from of_certificates(certificates_of(plan), plan.hostname)
    yield from _disk(place)


def _disk(place: Place) -> Iterator[Finding]:
    told = os.statvfs(place.state)
    free, total = told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize
    if free < FULL_BYTES:
        from provisioner.checks.drift.disk_filling import room

        yield from room(_mount(place.state), free, total, "the state folder")


def _mount(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
