"""File systems that can hold weights and runtimes, with the space that is free in each."""

import json
from collections.abc import Mapping

from provisioner.model.answers import text
from provisioner.model.facts import Answers, AskKernel, Fact, Filesystem, ReadFiles, Unknown
from provisioner.model.record import dataclass

PSEUDO = frozenset(
    [
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "efivarfs",
        "fuse.gvfsd-fuse",
        "fuse.lxcfs",
        "fuse.portal",
        "fusectl",
        "hugetlbfs",
        "mqueue",
        "nsfs",
        "nullfs",
        "proc",
        "pstore",
        "ramfs",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tracefs",
    ]
)
"""Views of the kernel and images that nobody can write to; a tmpfs is real memory and stays."""
SYSTEM_FOLDERS = ("/proc/", "/sys/", "/dev/")


@dataclass(frozen=True, slots=True)
class Mount:
    point: str
    device: str
    type: str
    read_only: bool


def parse_mounts(answers: Answers) -> tuple[Mount, ...]:
    """Mounts by their folder; of several on one folder the last one is what a program sees."""
    found: dict[str, Mount] = {}
    for line in (text(answers, "/proc/self/mountinfo") or "").splitlines():
        mount = _mount(line)
        if mount:
            found[mount.point] = mount
    return tuple(found[point] for point in sorted(found) if _holds_files(found[point]))


def _mount(line: str) -> Mount | None:
    """`36 35 98:0 /root /mount rw,noatime master:1 - ext3 /dev/root rw,errors=continue`."""
    before, _, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if len(left) < 6 or len(right) < 2:
        return None
    options = [*left[5].split(","), *(right[2].split(",") if len(right) > 2 else [])]
    return Mount(_plain(left[4]), _plain(right[1]), right[0], "ro" in options)


def _holds_files(mount: Mount) -> bool:
    return mount.type not in PSEUDO and not f"{mount.point}/".startswith(SYSTEM_FOLDERS)


def _plain(word: str) -> str:
    """The kernel writes blanks in names as octal numbers."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word


MOUNTS: Fact[tuple[Mount, ...]] = Fact(
    name="mounts",
    question=ReadFiles(("/proc/self/mountinfo",)),
    parse=parse_mounts,
    absent=Unknown("/proc/self/mountinfo is not there"),
)


def measured(mounts: tuple[Mount, ...]) -> Fact[tuple[Filesystem, ...]]:
    """The question how much space these have."""
    by_topic = {f"statvfs:{mount.point}": mount for mount in mounts}
    return Fact(
        name="filesystems",
        question=AskKernel(tuple(by_topic)),
        parse=lambda answers: parse(answers, by_topic),
        absent=(),
    )


def parse(answers: Answers, mounts: Mapping[str, Mount]) -> tuple[Filesystem, ...]:
    """Those that answered and have any size; when none could be asked, that is the fact."""
    reasons = [answer.reason for answer in answers.values() if isinstance(answer, Unknown)]
    if reasons and len(reasons) == len(answers):
        raise ValueError(f"no file system could be asked for its space: {reasons[0]}")
    found = [_space(answer, mounts[topic]) for topic, answer in answers.items() if isinstance(answer, str)]
    return tuple(filesystem for filesystem in found if filesystem.total_bytes > 0)


def _space(answer: str, mount: Mount) -> Filesystem:
    space = json.loads(answer)
    if not isinstance(space, dict):
        raise ValueError(f"the space of {mount.point} is no object")
    return Filesystem(
        mount=mount.point,
        device=mount.device,
        type=mount.type,
        total_bytes=_count(space, "total"),
        free_bytes=_count(space, "free"),
        # Btrfs and some network file systems count no inodes: both numbers are zero there.
        free_inodes=_count(space, "free_inodes") if _count(space, "inodes") else None,
        read_only=mount.read_only,
    )


def _count(space: Mapping[str, object], name: str) -> int:
    value = space[name]
    if not isinstance(value, int):
        raise ValueError(f"{name} is {value!r}, expected a number")
    return value
