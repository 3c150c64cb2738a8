"""What a recording must not hold: serials, MAC and IP addresses, UUIDs, user names, host names; each gets a stable stand-in."""

import json
import re
from collections.abc import Callable

from provisioner.model.facts import Unknown

MAC = re.compile(r"\b(?:[0-9a-fA-F]{2}:){5}(?:(?:[0-9a-fA-F]{2}:){14})?[0-9a-fA-F]{2}\b")
NAMED_AFTER_MAC = re.compile(r"\b(en|wl|ww)x[0-9a-f]{12}\b")
UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
WELL_KNOWN = ("8be4df61-93ca-11d2-aa0d-00e098032b8c",)
"""The UEFI specification's own: it is part of a variable's name on every machine."""
LONG_ID = re.compile(r"\b[0-9a-f]{32,64}\b")
HOME = re.compile(r"(?<=/home/)[^/\s\"':,]+|(?<=/media/)[^/\s\"':,]+|(?<=/Users/)[^/\s\"':,]+")
SERIAL = re.compile(r'(serial(?:[ _-]?number)?"?\s*:\s*"?)(?!N/A)([\w.-]+)', re.IGNORECASE)
HIP_UUID = re.compile(r"\bGPU-[0-9a-fA-F]{16}\b")
KFD_ID = re.compile(r"^((?:unique|hive)_id )([1-9][0-9]*)$", re.MULTILINE)
"""The same identifier as AMD's kernel driver writes it."""
BUILDER = re.compile(r"\([^()\s]+@[^()\s]+\)")
"""Who compiled the kernel, and on which machine."""
VOLUME = re.compile(r"(?<!/System)(/Volumes/)(.+?)(?= \([a-z]+, |\"?,?$)", re.MULTILINE)
"""A disk that was plugged into a Mac bears the name that its owner gave it; blanks belong to it."""
MOUNTER = re.compile(r", mounted by [^,)\n]+")
LOCAL_DEVICE = "/dev/"
"""How lines of a Mac's `mount` begin that name no server and no user of one."""
INET = re.compile(r"\binet (?!127\.)[0-9.]+.*")
KEPT_OF_DISK = ("_name", "bsd_name", "detachable_drive", "device_model", "removable_media", "size_in_bytes")
KEPT_OF_STATUS = ("Cpus_allowed_list", "Mems_allowed_list")
SERIAL_LINES = ("serial", "system serial")
KEPT_OF_INFO = (
    "CgroupDriver",
    "CgroupVersion",
    "DefaultRuntime",
    "DockerRootDir",
    "Driver",
    "Runtimes",
    "SecurityOptions",
    "ServerVersion",
)
KEPT_OF_VERSION = ("ApiVersion", "Arch", "MinAPIVersion", "Os", "Version")
CGROUP_FILESYSTEMS = ("cgroup", "cgroup2")


class Scrubber:
    """Replaces what identifies a person or a machine, and remembers what stands for what while it runs."""

    def __init__(self, hostname: str) -> None:
        self._host = re.compile(rf"(?<![\w.-]){re.escape(hostname)}(?![\w-])") if len(hostname) > 2 else None
        self._stands_for: dict[str, str] = {}
        self._instead: dict[str, str] = {}

    def name(self, text: str) -> str:
        """A path, a link's target or any other text that may hold an identifier."""
        text = self._addresses(text)
        text = HIP_UUID.sub(self._numbered(lambda n: f"GPU-{n:016x}"), text)
        text = LONG_ID.sub(self._numbered(lambda n: f"{n:032x}"), text)
        text = HOME.sub(self._numbered(lambda n: f"user{n}"), text)
        return self._host.sub("machine", text) if self._host else text

    def real(self, text: str) -> str:
        """The text that a scrubbed one stands for: the next question may be built from scrubbed answers."""
        for stand_in, original in self._stands_for.items():
            text = text.replace(stand_in, original)
        return text

    def file(self, path: str, text: str | Unknown) -> str | Unknown:
        """A file's text, without lines that are about the person or the one machine."""
        if isinstance(text, Unknown):
            return Unknown(self.name(text.reason))
        if path.endswith("/status"):
            return _only(text, lambda line: line.startswith(KEPT_OF_STATUS))
        if path.endswith("/cpuinfo"):
            return _only(_without_identification(text), lambda line: not line.lower().startswith(SERIAL_LINES))
        if path == "/proc/version":
            return BUILDER.sub("(builder)", text)
        if path.endswith("/mountinfo"):
            return self.name(_only(text, len, _without_options))
        if "/kfd/topology/" in path:
            return KFD_ID.sub(lambda found: found[1] + self._instead_of(found[2], lambda n: f"{10**15 + n}"), text)
        if path.endswith("os-release"):
            return text
        # A mask of 128 CPUs looks like a container's id: such ids are only looked for where paths are.
        return self.name(text) if path.startswith("/proc/self/") else self._addresses(text)

    def link(self, _path: str, target: str | Unknown) -> str | Unknown:
        return self.name(target) if isinstance(target, str) else target

    def topic(self, topic: str, text: str | Unknown) -> str | Unknown:
        if isinstance(text, Unknown):
            return Unknown(self.name(text.reason))
        if topic == "uname":
            return json.dumps(json.loads(text) | {"node": "machine"})
        if topic == "addresses":
            names = json.loads(text)
            return json.dumps({self.name(name): f"192.0.2.{n % 254 + 1}" for n, name in enumerate(names)})
        return self.name(text)

    def tool(self, command: str, text: str | Unknown) -> str | Unknown:
        """What a maker's program printed, without serial numbers: a card's is on its invoice."""
        if isinstance(text, Unknown):
            return Unknown(self.name(text.reason))
        text = _of_a_mac(command, text)
        text = VOLUME.sub(lambda found: found[1] + self._instead_of(found[2], lambda n: f"volume{n}"), text)
        return self.name(SERIAL.sub(lambda found: found[1] + self._instead_of(found[2], lambda n: f"SN{n:012}"), text))

    def engine(self, path: str, text: str | Unknown) -> str | Unknown:
        """A container engine's answer: only the fields that facts are made of (others hold proxies with passwords)."""
        if isinstance(text, Unknown):
            return Unknown(self.name(text.reason))
        body = json.loads(text)
        kept = KEPT_OF_INFO if path == "/info" else KEPT_OF_VERSION
        return self.name(json.dumps({key: body[key] for key in kept if key in body} if isinstance(body, dict) else {}))

    def _addresses(self, text: str) -> str:
        text = NAMED_AFTER_MAC.sub(lambda found: f"{found[1]}x{self._mac(found.group()).replace(':', '')}", text)
        text = MAC.sub(lambda found: self._mac(found.group()), text)
        instead = self._numbered(lambda n: f"00000000-0000-0000-0000-{n:012x}")
        return UUID.sub(lambda found: found.group() if found.group() in WELL_KNOWN else instead(found), text)

    def _mac(self, address: str) -> str:
        return self._instead_of(address, lambda n: f"02:00:00:00:{n >> 8 & 255:02x}:{n & 255:02x}")

    def _numbered(self, form: Callable[[int], str]) -> Callable[[re.Match[str]], str]:
        return lambda found: self._instead_of(found.group(), form)

    def _instead_of(self, original: str, form: Callable[[int], str]) -> str:
        if original in self._stands_for:
            return original
        if original not in self._instead:
            stand_in = form(len(self._instead) + 1)
            self._instead[original] = stand_in
            self._stands_for[stand_in] = original
        return self._instead[original]


def _of_a_mac(command: str, text: str) -> str:
    """What its own tools print, without servers, users, addresses and the names of volumes."""
    if command == "mount":
        return _only(text, lambda line: line.startswith(LOCAL_DEVICE), lambda line: MOUNTER.sub("", line))
    if command.startswith("ifconfig"):
        kept = _only(text, lambda line: not line.lstrip().startswith("inet6 "))
        count = iter(range(1, 1 << 16))
        return INET.sub(lambda _: f"inet 192.0.2.{next(count) % 254}", kept)
    return _disks_alone(text) if "SPNVMeDataType" in command else text


def _disks_alone(text: str) -> str:
    """The disks of a Mac without their serial numbers and the volumes on them."""
    try:
        controllers = json.loads(text)["SPNVMeDataType"]
        items = [
            [{key: item[key] for key in KEPT_OF_DISK if key in item} for item in one["_items"]] for one in controllers
        ]
    except (ValueError, KeyError, TypeError):
        return "unreadable"
    return json.dumps({"SPNVMeDataType": [{"_items": kept} for kept in items]})


def _only(text: str, keep: Callable[[str], object], change: Callable[[str], str] = lambda line: line) -> str:
    return "".join(change(line) for line in text.splitlines(keepends=True) if keep(line))


def _without_identification(text: str) -> str:
    """The kernel of s390 writes each processor's serial number: `identification = 2C7457`."""
    return re.sub(r"identification = [0-9A-F]+", "identification = 000000", text)


def _without_options(line: str) -> str:
    """A mount without the options of its file system, which name users and servers; cgroups need theirs."""
    place, dash, rest = line.rstrip("\n").partition(" - ")
    words = rest.split(" ")
    if len(words) < 3 or words[0] in CGROUP_FILESYSTEMS:
        return line
    options = [word for word in words[2].split(",") if word in ("ro", "rw")]
    return f"{place}{dash}{words[0]} {words[1]} {','.join(options) or 'rw'}\n"
