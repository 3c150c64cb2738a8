"""The volumes of a Mac with the space that is free in each, and the disks under them."""

import json
import re
from collections.abc import Iterator, Mapping

from provisioner.facts._macos import FOLDERS
from provisioner.model.answers import printed
from provisioner.model.facts import Answers, AskTools, CannotAsk, Disk, Fact, Filesystem, Unknown
from provisioner.model.record import dataclass, replace

DF, MOUNT = "df -kl", "mount"
"""`-l`: those of this machine alone, because a server that is gone keeps `df` waiting for ever."""
DISKS = "system_profiler SPNVMeDataType -json"
DATA = "/System/Volumes/Data"
"""Since macOS 10.15 the root is sealed, and what is written below it lies on this volume, by the system's own links."""
HIDDEN = ("/System/Volumes/", "/dev/", "/private/var/vm/")
"""The system's own: swap, start-up, updates."""
MOUNTED = re.compile(r"(?P<device>.+?) on (?P<point>/.*) \((?P<options>[^()]+)\)")
"""`/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)`."""
SPACE = re.compile(
    r"(?P<device>.+?)\s+(?P<size>\d+)\s+(?P<used>\d+)\s+(?P<free>-?\d+)\s+(?:\d+%|-)(?:\s+\S+\s+(?P<inodes>\S+)\s+(?:\d+%|-))?\s+(?P<point>/.*)"
)
"""Names may hold blanks on either side; GNU's `df`, which some have in its place, prints no inodes."""


@dataclass(frozen=True, slots=True)
class Mounted:
    device: str
    type: str
    read_only: bool


def parse(answers: Answers) -> tuple[Filesystem, ...]:
    """Volumes that a person sees; the root as what may be written below it."""
    mounted = dict(_mounted(printed(answers, MOUNT)))
    spaces = {point: found for found in _spaces(printed(answers, DF)) for point in (found.mount,)}
    if "/" not in spaces:
        raise CannotAsk(f"`{DF}` lists no file system at /")
    shown = {point: space for point, space in spaces.items() if not f"{point}/".startswith(HIDDEN)}
    return tuple(_volume(point, spaces, mounted) for point in sorted(shown) if spaces[point].total_bytes)


def _volume(point: str, spaces: Mapping[str, Filesystem], mounted: Mapping[str, Mounted]) -> Filesystem:
    source = DATA if point == "/" and DATA in mounted else point
    space, mount = spaces.get(source, spaces[point]), mounted.get(source)
    if mount is None:
        return space
    return replace(space, mount=point, device=mount.device, type=mount.type, read_only=mount.read_only)


def _mounted(lines: str) -> Iterator[tuple[str, Mounted]]:
    for line in lines.splitlines():
        if found := MOUNTED.fullmatch(line.strip()):
            kind, *options = found["options"].split(", ")
            yield found["point"], Mounted(found["device"], kind, "read-only" in options)


def _spaces(table: str) -> Iterator[Filesystem]:
    """Each row in units of 1024 bytes. All volumes of one container share what is free."""
    for line in table.splitlines():
        found = SPACE.fullmatch(line.strip())
        if found and found["device"].startswith("/dev/"):
            inodes = found["inodes"] or ""
            yield Filesystem(
                mount=found["point"],
                device=found["device"],
                type="unknown",
                total_bytes=int(found["size"]) * 1024,
                free_bytes=max(0, int(found["free"])) * 1024,
                free_inodes=int(inodes) if inodes.isdecimal() else None,
                read_only=False,
            )


def parse_disks(answers: Answers) -> tuple[Disk, ...]:
    """Apple's own are all of this kind; what hangs on USB is not listed by it."""
    found = json.loads(printed(answers, DISKS))
    controllers = found.get("SPNVMeDataType") if isinstance(found, dict) else None
    if not isinstance(controllers, list):
        raise CannotAsk(f"`{DISKS}` lists no controller")
    items = [
        item
        for one in controllers
        if isinstance(one, dict)
        for item in _listed(one.get("_items"))
        if isinstance(item, dict)
    ]
    return tuple(_disk(item) for item in items if isinstance(item.get("size_in_bytes"), int))


def _listed(items: object) -> list[object]:
    return items if isinstance(items, list) else []


def _disk(item: Mapping[str, object]) -> Disk:
    size = item["size_in_bytes"]
    return Disk(
        name=str(item.get("bsd_name") or "disk"),
        size_bytes=size if isinstance(size, int) else 0,
        model=str(item.get("device_model") or item.get("_name") or "") or None,
        speed_class="nvme",
        rotational=False,
        removable=item.get("detachable_drive") == "yes",
        numa_node=None,
    )


FILESYSTEMS: Fact[tuple[Filesystem, ...]] = Fact(
    "filesystems", AskTools((DF, MOUNT), FOLDERS), parse, absent=Unknown("df told nothing")
)
INTERNAL: Fact[tuple[Disk, ...]] = Fact(
    "disks", AskTools((DISKS,), FOLDERS), parse_disks, absent=Unknown("system_profiler told nothing")
)
