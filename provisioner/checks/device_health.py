"""Accelerators that work, but not as they could: what an operator should know before a model is put on them."""

from collections.abc import Iterator

from provisioner.model.facts import Accelerator, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.record import replace

NAME = "device_health"


def run(view: View) -> Iterator[Finding]:
    used = {uuid for service in view.plan.services for uuid in service.devices}
    for devices in view.facts.accelerators.values():
        for device in () if isinstance(devices, Unknown) else devices:
            yield from (found if device.uuid in used else _harmless(found) for found in _device(device))


def _harmless(found: Finding) -> Finding:
    """A card that the plan does not use stops nothing."""
    return replace(found, level="warning") if found.level == "error" else found


def _device(device: Accelerator) -> Iterator[Finding]:
    name = f"{device.vendor}:{device.index} ({device.name})"
    if device.problem:
        yield Finding(NAME, "error", f"{name}: {device.problem}", "look into `dmesg`, then reset or replace the card")
    if device.row_remap not in (None, "ok"):
        level = "error" if str(device.row_remap).startswith("failed") else "warning"
        yield Finding(NAME, level, f"{name}: row remapping {device.row_remap}", f"nvidia-smi -r -i {device.index}")
    if device.ecc_errors:
        told = f"{name}: {device.ecc_errors} uncorrected memory errors since the driver was loaded"
        yield Finding(NAME, "warning", told, f"nvidia-smi -q -d ECC -i {device.index}")
    yield from _link(device, name)
    if device.mig is not None and device.mig.enabled:
        yield Finding(NAME, "note", f"{name}: MIG is on, with {len(device.mig.instances)} instances")


def _link(device: Accelerator, name: str) -> Iterator[Finding]:
    """A narrow link is a matter of the slot; a slow one may only be asleep, so that is a note."""
    width, widest = device.pcie_width, device.pcie_max_width
    if width and widest and width < widest:
        yield Finding(
            NAME,
            "warning",
            f"{name}: PCIe runs with {width} of {widest} lanes",
            "seat the card anew, or use a slot with all lanes",
        )
    now, best = device.pcie_generation, device.pcie_max_generation
    if now and best and now < best:
        yield Finding(NAME, "note", f"{name}: PCIe is at generation {now} of {best}; an idle card saves power this way")


CHECK = Check(name=NAME, stage="before", run=run)
