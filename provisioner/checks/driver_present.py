"""An NVIDIA device that the bus shows is also seen by its driver."""

from collections.abc import Iterator

from provisioner.model.facts import HostFacts, PciDevice, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "driver_present"
NVIDIA = "10de"
COMPUTES = ("0302", "1200", "0300")
"""PCI classes of cards that compute: 3D controllers, accelerators, and displays."""
FIX = "install the driver (`apt-get install nvidia-driver` on Debian, `ubuntu-drivers install --gpgpu` on Ubuntu) and restart"


def run(view: View) -> Iterator[Finding]:
    devices = tuple(_on_the_bus(view.facts))
    if not devices:
        return
    seen = view.facts.accelerators.get("nvidia", ())
    level = "error" if any(service.devices for service in view.plan.services) else "warning"
    named = ", ".join(device.name or f"device {device.device_id}" for device in devices)
    if isinstance(seen, Unknown):
        yield Finding(NAME, level, f"{named}: on the bus, but the driver does not answer: {seen.reason}", fix=FIX)
    elif len(seen) < len(devices):
        told = f"{len(devices)} NVIDIA devices are on the bus, and the driver shows {len(seen)}"
        yield Finding(NAME, level if not seen else "warning", told, fix=FIX if not seen else "look into `dmesg`")


def _on_the_bus(facts: HostFacts) -> Iterator[PciDevice]:
    for device in () if isinstance(facts.pci, Unknown) else facts.pci:
        if device.vendor_id.removeprefix("0x") == NVIDIA and device.class_id.removeprefix("0x").startswith(COMPUTES):
            yield device


CHECK = Check(name=NAME, stage="before", run=run)
