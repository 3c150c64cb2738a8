"""What this process may use of the machine: its control groups, all the way up, and its resource limits."""

from collections.abc import Iterable

from provisioner.model.answers import number, pairs, text
from provisioner.model.facts import Answers, Fact, Limits, ReadFiles, Unknown
from provisioner.model.record import dataclass

NO_LIMIT = 1 << 60
"""Control groups of version 1 write the largest number of pages for "none"; no machine has this many bytes."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The folders of this process's control groups, innermost first: one list a controller."""

    path: str | None
    cpu: tuple[str, ...]
    memory: tuple[str, ...]


def parse_groups(answers: Answers) -> Groups:
    """Where /proc/self/cgroup says the process is, below where mountinfo says the hierarchies are."""
    mine = [
        line.split(":", 2) for line in (text(answers, "/proc/self/cgroup") or "").splitlines() if line.count(":") > 1
    ]
    mounts = [_mount(line) for line in (text(answers, "/proc/self/mountinfo") or "").splitlines()]
    paths = {controller: path for _, names, path in mine for controller in (names.split(",") if names else [""])}
    return Groups(
        path=next((path for path in (paths.get(""), paths.get("memory")) if path and path != "/"), None),
        cpu=_folders(mounts, paths, "cpu"),
        memory=_folders(mounts, paths, "memory"),
    )


def _mount(line: str) -> tuple[str, str, str, str]:
    """Root, mount point, type and options of one line of mountinfo."""
    before, _, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    return (left[3], left[4], right[0], right[2]) if len(left) > 4 and len(right) > 2 else ("", "", "", "")


def _folders(mounts: list[tuple[str, str, str, str]], paths: dict[str, str], controller: str) -> tuple[str, ...]:
    found: list[str] = []
    for root, point, kind, options in mounts:
        if kind == "cgroup2":
            found += _chain(root, point, paths.get("", "/"))
        elif kind == "cgroup" and controller in options.split(","):
            found += _chain(root, point, paths.get(controller, "/"))
    return tuple(dict.fromkeys(found))


def _chain(root: str, point: str, path: str) -> Iterable[str]:
    """The group's folder and all above it, as far as the mount shows them."""
    inside = path.removeprefix(root if root != "/" else "") if path.startswith(root) else ""
    names = [name for name in inside.split("/") if name and name != ".."]
    return ["/".join([point, *names[:depth]]) for depth in range(len(names), -1, -1)]


GROUPS: Fact[Groups] = Fact(
    name="cgroup",
    question=ReadFiles(("/proc/self/cgroup", "/proc/self/mountinfo")),
    parse=parse_groups,
    absent=Groups(None, (), ()),
)


def within(groups: Groups) -> Fact[Limits]:
    """The question about these groups' limits; an outer group's limit holds for the inner ones as well."""
    cpu = [f"{folder}/{name}" for folder in groups.cpu for name in ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")]
    memory_files = ("memory.max", "memory.current", "memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat")
    memory = [f"{folder}/{name}" for folder in groups.memory for name in memory_files]
    return Fact(
        name="limits",
        question=ReadFiles(("/proc/self/limits", *cpu, *memory)),
        parse=lambda answers: parse(answers, groups),
        absent=Unknown("/proc/self/limits is not there"),
    )


def parse(answers: Answers, groups: Groups) -> Limits:
    """The tightest of each: processors as a share of time, memory and how much of it is taken."""
    quotas = [quota for folder in groups.cpu if (quota := _quota(answers, folder)) is not None]
    tightest = min(((most, folder) for folder in groups.memory if (most := _most(answers, folder))), default=None)
    resources = text(answers, "/proc/self/limits") or ""
    return Limits(
        cpus=min(quotas, default=None),
        memory_bytes=tightest[0] if tightest else None,
        memory_used_bytes=_used(answers, tightest[1]) if tightest else None,
        open_files=_resource(resources, "Max open files"),
        locked_memory_bytes=_resource(resources, "Max locked memory"),
        cgroup=groups.path,
    )


def _quota(answers: Answers, folder: str) -> float | None:
    """`200000 100000`, or `max 100000`; version 1 keeps the two in files of their own and writes -1 for none."""
    both = (text(answers, f"{folder}/cpu.max") or "").split()
    if len(both) == 2 and both[0] != "max":
        quota, period = int(both[0]), int(both[1])
    else:
        quota = number(answers, f"{folder}/cpu.cfs_quota_us") or 0
        period = number(answers, f"{folder}/cpu.cfs_period_us") or 0
    return quota / period if quota > 0 and period > 0 else None


def _most(answers: Answers, folder: str) -> int | None:
    most = number(answers, f"{folder}/memory.max") or number(answers, f"{folder}/memory.limit_in_bytes")
    return most if most and most < NO_LIMIT else None


def _used(answers: Answers, folder: str) -> int | None:
    """What the group holds, without cached files that the kernel gives back before it refuses memory."""
    used = number(answers, f"{folder}/memory.current") or number(answers, f"{folder}/memory.usage_in_bytes")
    if used is None:
        return None
    stat = pairs(text(answers, f"{folder}/memory.stat") or "", " ")
    cached = stat.get("total_inactive_file") or stat.get("inactive_file") or "0"
    return max(0, used - (int(cached) if cached.isdecimal() else 0))


def _resource(limits: str, name: str) -> int | None:
    """The soft limit of one line; `unlimited` is None."""
    line = next((line for line in limits.splitlines() if line.startswith(name)), "")
    word = line.removeprefix(name).split()[:1]
    return int(word[0]) if word and word[0].isdecimal() else None
