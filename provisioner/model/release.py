"""The rendered files, what of them is in force, and the receipt of having put it there."""

from collections.abc import Mapping

from provisioner.model.containers import MakeCertificate
from provisioner.model.containers import ReleaseFile as ReleaseFile  # noqa: PLC0414 - whoever makes a release makes its files
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding, Service, WeightFile
from provisioner.model.record import dataclass, field

CONTAINERS = "docker"
"""The target whose services come as containers."""


@dataclass(frozen=True, slots=True)
class Release:
    """A complete folder: an older one, executed, is a rollback. The digest is over every path and content."""

    digest: str
    target: str
    files: tuple[ReleaseFile, ...]
    services: tuple[Service, ...]
    held: Mapping[str, tuple[WeightFile, ...]]
    """The weights, by the folder that its engines read them from."""
    secrets: tuple[str, ...] = ()
    """Files of random words that its containers read, beside the keys of the engines."""
    data: tuple[str, ...] = ()
    """Folders in which its services keep their own things."""
    makes: tuple[MakeCertificate, ...] = ()
    """What has to be there besides before its containers start."""
    live: tuple[ReleaseFile, ...] = ()
    """Those of its files that are read at a place which is the same for all releases, by their whole paths there."""

    @property
    def weights(self) -> tuple[WeightFile, ...]:
        """Every file of weights, each once: models may share one."""
        return tuple(dict.fromkeys(file for files in self.held.values() for file in files))


@dataclass(frozen=True, slots=True)
class Running:
    """A service that is there now: by pid and start time (process), by unit name (systemd), or by container."""

    service: str
    digest: str
    target: str
    pid: int
    started: int
    state: str
    part: str = ""
    """Of a container or a bare process: the hash of what it was made from, which may be the same in several releases."""
    ports: tuple[int, ...] = ()
    """Of a container: ports of the host that lead into it."""

    @property
    def contained(self) -> bool:
        return self.target == CONTAINERS

    @property
    def alive(self) -> bool:
        """A container stays when its program has ended; whatever else is found runs."""
        return not self.contained or self.state.startswith("running")


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in force before anything is done: the ground on which actions are computed."""

    current: Release | None
    running: tuple[Running, ...]
    blobs: frozenset[str]
    keys: frozenset[str]
    folders: frozenset[str]
    """Digests that have a complete release folder."""
    links: frozenset[str]
    """Paths below `models/` that exist."""
    units: frozenset[tuple[str, str]]
    """Unit files of ours in the systemd folder: name and content."""
    leftovers: tuple[str, ...]
    """Half-made files and folders of an interrupted run."""
    trees: frozenset[str] = frozenset()
    """Folders of the state that hold something: what `down` has to remove."""
    enabled: frozenset[str] = frozenset()
    """Links in the systemd folder that start a unit of ours with the machine: `<target>.wants/<unit>`."""
    parts: tuple[str, ...] = ()
    """Downloads that were broken off, and their journals: the next run that wants them goes on from there."""
    data: frozenset[str] = frozenset()
    """Folders in which services keep their own things."""
    snapshots: frozenset[str] = frozenset()
    """Digests of releases, of whose time it is kept what these folders held."""
    made: frozenset[MakeCertificate] = frozenset()
    """What a plan wants to be there besides, and is."""
    live: frozenset[tuple[str, str]] = frozenset()
    """Files that are read whichever release is in force: path and content."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Images of the container engine that a plan asked for, by the name it calls them: what pins them."""
    archives: Mapping[str, str] = field(default_factory=dict)
    """Where those of them lie that the operator brought: a file for each name."""
    weights: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The hashes of what each complete release serves, by its digest; asked only where there are `parts`."""


@dataclass(frozen=True, slots=True)
class Step:
    action: str
    result: str
    """`done`, `failed: <why>` or `not run`."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Applied:
    run: int
    verb: str
    steps: tuple[Step, ...]
    ok: bool


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    run: int
    verb: str
    started_unix: int
    ended_unix: int | None
    release: str | None
    previous: str | None
    outcome: str
    """`running`, `good`, `failed`, `rolled-back`, `interrupted`, `finished-by <run>`."""
    findings: tuple[Finding, ...] | Unknown = ()
