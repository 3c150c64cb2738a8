"""The network interfaces of a Mac: kind, state, speed and address."""

import re
from collections.abc import Iterator, Mapping

from provisioner.facts._macos import FOLDERS
from provisioner.model.answers import printed
from provisioner.model.facts import Answers, AskTools, Fact, Interface, Unknown

IFCONFIG, PORTS = "ifconfig -a", "networksetup -listallhardwareports"
HEAD = re.compile(r"(?P<name>\S+): flags=\w+<(?P<flags>[^>]*)>(?:.* mtu (?P<mtu>\d+))?.*")
SPEED = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>G?)[Bb]ase")
"""`1000baseT`, `2500Base-T`, `10Gbase-T`, within `media: autoselect (10Gbase-T <full-duplex,flow-control>)`."""


def parse(answers: Answers) -> tuple[Interface, ...]:
    """All of them, in the order of their names; what kind each is, the list of ports tells, where it could be had."""
    ports = dict(_ports(str(answers.get(PORTS, "")) if isinstance(answers.get(PORTS), str) else ""))
    blocks = sorted(_blocks(printed(answers, IFCONFIG)), key=lambda block: block[0]["name"])
    return tuple(_interface(head, lines, ports) for head, lines in blocks)


def _ports(listed: str) -> Iterator[tuple[str, str]]:
    """`Hardware Port: Wi-Fi`, and below it `Device: en0`."""
    port = ""
    for line in listed.splitlines():
        name, _, value = line.partition(": ")
        if name == "Hardware Port":
            port = value.strip()
        elif name == "Device" and value.strip():
            yield value.strip(), port


def _blocks(printed_lines: str) -> Iterator[tuple[re.Match[str], list[str]]]:
    """Each interface begins at the margin, and what belongs to it is indented."""
    head: re.Match[str] | None = None
    lines: list[str] = []
    for line in printed_lines.splitlines():
        if line[:1].isspace():
            lines.append(line.strip())
            continue
        if head:
            yield head, lines
        head, lines = HEAD.fullmatch(line), []
    if head:
        yield head, lines


def _interface(head: re.Match[str], lines: list[str], ports: Mapping[str, str]) -> Interface:
    name, flags = head["name"], head["flags"].split(",")
    media = next((line.removeprefix("media: ") for line in lines if line.startswith("media: ")), "")
    status = next((line.removeprefix("status: ") for line in lines if line.startswith("status: ")), None)
    address = next((line.split()[1] for line in lines if line.startswith("inet ")), None)
    speed = SPEED.search(media)
    return Interface(
        name=name,
        kind=_kind(name, flags, media, ports),
        up="UP" in flags and status in (None, "active"),
        speed_mbps=int(float(speed["number"]) * (1000 if speed["unit"] else 1)) if speed else None,
        mtu=int(head["mtu"]) if head["mtu"] else None,
        driver=None,
        numa_node=None,
        pci=None,
        address=address,
    )


def _kind(name: str, flags: list[str], media: str, ports: Mapping[str, str]) -> str:
    if "LOOPBACK" in flags:
        return "loopback"
    if name.startswith("bridge"):
        return "bridge"
    if ports.get(name) in ("Wi-Fi", "AirPort"):
        return "wireless"
    known = name in ports or (not ports and name.startswith("en") and bool(media))
    return "ethernet" if known else "virtual"


FACT: Fact[tuple[Interface, ...]] = Fact(
    "network", AskTools((IFCONFIG, PORTS), FOLDERS), parse, absent=Unknown("ifconfig told nothing")
)
