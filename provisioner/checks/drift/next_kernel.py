"""The kernel that the next start takes has the driver too: a new one comes without, until the module is built for it."""

import re
from collections.abc import Iterator

from provisioner.checks.drift._nvidia import loaded_driver
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "next_kernel"


def run(view: View) -> Iterator[Finding]:
    kernels = view.upkeep.kernels if view.upkeep else {}
    if (
        isinstance(kernels, Unknown)
        or not kernels
        or loaded_driver(view) is None
        or isinstance(view.facts.host, Unknown)
    ):
        return
    running, newest = view.facts.host.kernel, max(kernels, key=_order)
    if newest != running and kernels.get(running) and not kernels[newest]:
        told = f"kernel {newest} is installed and will be started next, and NVIDIA's module is not built for it"
        fix = f"`apt-get install linux-headers-{newest}`, then `dkms autoinstall -k {newest}`"
        yield Finding(NAME, "warning", told, fix=fix)


def _order(kernel: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", kernel)]


CHECK = Check(name=NAME, stage="drift", run=run)
