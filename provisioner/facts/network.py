"""Network interfaces: kind, speed, driver, address, and the NUMA node they are near."""

import json

from provisioner.model.answers import last, names, node, number, pairs, text
from provisioner.model.facts import Answers, AskAll, AskKernel, Fact, Interface, ReadFiles

ROOT = "/sys/class/net"
ETHERNET, INFINIBAND, LOOPBACK = 1, 32, 772
"""Hardware types of if_arp.h."""


def parse(answers: Answers) -> tuple[Interface, ...]:
    """All interfaces; those without a device below them say what made them (bridge, bond, vlan …)."""
    addresses = _addresses(answers)
    found = (name for name in names(answers, ROOT) if f"{ROOT}/{name}/type" in answers)
    return tuple(_interface(answers, name, addresses.get(name)) for name in found)


def _addresses(answers: Answers) -> dict[str, str]:
    """By interface. Machines that were recorded before this was asked have none."""
    try:
        found = json.loads(text(answers, "addresses") or "{}")
    except ValueError:
        return {}
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): address for name, address in pairs if isinstance(address, str)}


def _interface(answers: Answers, name: str, address: str | None) -> Interface:
    folder = f"{ROOT}/{name}/"
    speed = number(answers, folder + "speed")
    state = text(answers, folder + "operstate")
    device = last(answers, folder + "device")
    return Interface(
        name=name,
        kind=_kind(answers, folder),
        # The loopback and some tunnels keep no state and say "unknown" while they work.
        up=state == "up" or (state == "unknown" and text(answers, folder + "carrier") == "1"),
        speed_mbps=speed if speed and speed > 0 else None,
        mtu=number(answers, folder + "mtu"),
        driver=last(answers, folder + "device/driver"),
        numa_node=node(answers, folder + "device/numa_node"),
        pci=device if device and device.count(":") == 2 else None,
        address=address,
    )


def _kind(answers: Answers, folder: str) -> str:
    made = pairs(text(answers, folder + "uevent") or "", "=").get("DEVTYPE")
    if made:
        return {"wlan": "wireless"}.get(made, made)
    hardware = number(answers, folder + "type")
    if hardware in (INFINIBAND, LOOPBACK):
        return "infiniband" if hardware == INFINIBAND else "loopback"
    return "ethernet" if hardware == ETHERNET and last(answers, folder + "device") else "virtual"


FACT: Fact[tuple[Interface, ...]] = Fact(
    name="network",
    question=AskAll(
        (
            ReadFiles(
                files=(
                    *(f"{ROOT}/*/{name}" for name in ("type", "operstate", "carrier", "speed", "mtu", "uevent")),
                    f"{ROOT}/*/device/numa_node",
                ),
                links=(f"{ROOT}/*/device", f"{ROOT}/*/device/driver"),
            ),
            AskKernel(("addresses",)),
        )
    ),
    parse=parse,
    absent=(),
)
