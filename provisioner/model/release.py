"""The rendered files, the effects that put them in force, and the receipt of having done so."""

import shlex
from collections.abc import Mapping

from provisioner.model.containers import MakeCertificate as MakeCertificate  # noqa: PLC0414 - it is one of the effects
from provisioner.model.containers import ReleaseFile as ReleaseFile  # noqa: PLC0414 - whoever makes a release makes its files
from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding, Service, WeightFile
from provisioner.model.record import dataclass, field

ENTRUSTED = "# what services keep may be changed from here on, by"
BROUGHT_BACK = "# databases: sqlite3 … .restore"
"""How the lines begin and end by which a journal tells what became of people's data."""

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


# Effects. Each is a value whose string a person can repeat by hand; `world` carries them out.


@dataclass(frozen=True, slots=True)
class MakeKey:
    path: str

    def __str__(self) -> str:
        return f"install -m 600 /dev/null {shlex.quote(self.path)} && openssl rand -hex 24 > {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class MakeModel:
    """Make the demo's tiny model on the spot, into the store."""

    file: WeightFile
    blob: str

    def __str__(self) -> str:
        return f"python -m provisioner.world.tinymodel {shlex.quote(self.blob)}"


@dataclass(frozen=True, slots=True)
class TakeFile:
    """Take a weight file of this machine into the store: linked where the file system allows, verified once."""

    file: WeightFile
    blob: str

    def __str__(self) -> str:
        return f"cp --reflink=auto -l {shlex.quote(self.file.origin)} {shlex.quote(self.blob)}"


@dataclass(frozen=True, slots=True)
class Download:
    file: WeightFile
    url: str
    blob: str

    def __str__(self) -> str:
        if self.file.origin.endswith("/"):
            repository = "/".join(self.file.origin.removesuffix("/").rsplit("/", 2)[1:])
            return f"hf download {shlex.quote(repository)}"
        return f"curl -fL -C - -o {shlex.quote(self.blob)} {shlex.quote(self.url)}"


@dataclass(frozen=True, slots=True)
class MergeParts:
    """Make one file of the parts of a GGUF, for an engine that loads no parts; they are in the store by then."""

    file: WeightFile
    blob: str

    def __str__(self) -> str:
        first = self.file.parts[0]
        source = first.origin if first.origin.endswith(f"/{first.name}") and first.origin[0] == "/" else first.name
        return f"llama-gguf-split --merge {shlex.quote(source)} {shlex.quote(self.blob)}"


@dataclass(frozen=True, slots=True)
class LinkFile:
    """Give a weight of the store the name and the folder that the engine wants; never a copy."""

    blob: str
    path: str

    def __str__(self) -> str:
        return f"ln {shlex.quote(self.blob)} {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """A folder that a service keeps its own things in."""

    path: str
    mode: int = 0o700

    def __str__(self) -> str:
        return f"install -d -m {self.mode:o} {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class PullImage:
    """Bring an image to the container engine; afterwards its digest is known."""

    name: str

    def __str__(self) -> str:
        return f"docker pull {shlex.quote(self.name)}"


@dataclass(frozen=True, slots=True)
class LoadImages:
    """Hand an archive to the container engine, for the images of these names that it holds."""

    archive: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"docker load --input {shlex.quote(self.archive)}  # {', '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class WriteRelease:
    release: Release
    folder: str

    def __str__(self) -> str:
        return f"provision render -o {shlex.quote(self.folder)}"


@dataclass(frozen=True, slots=True)
class StopProcess:
    """End one service's process group. `digest` names the release it was started from."""

    service: str
    digest: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"kill -TERM -- -{self.pid}"


@dataclass(frozen=True, slots=True)
class StartProcess:
    service: str
    digest: str
    unit: str
    """Path of the service's unit file in the release folder: all that its keeper needs."""
    part: str = ""
    """The hash of that file: who has the same in the next release goes on."""

    def __str__(self) -> str:
        part = f"--part={self.part} " if self.part else ""
        return f"setsid -f python -m provisioner.world.keeper {part}{shlex.quote(self.unit)}"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file outside the state folder, as `systemd` wants it; what stood there is not ours unless marked."""

    path: str
    content: str
    mode: int = 0o644

    def __str__(self) -> str:
        return f"install -m {self.mode:o} {shlex.quote(self.path.rsplit('/', 1)[-1])} {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class RemoveFile:
    path: str

    def __str__(self) -> str:
        return f"rm -f {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class RunTool:
    argv: tuple[str, ...]
    timeout_seconds: int = 120

    def __str__(self) -> str:
        return shlex.join(self.argv)


@dataclass(frozen=True, slots=True)
class Activate:
    """Make this release the current one; None when nothing is to be in force any more."""

    digest: str | None

    def __str__(self) -> str:
        return f"# the release in force is {self.digest[:12] if self.digest else 'none'}"


@dataclass(frozen=True, slots=True)
class Entrust:
    """Noted, and that is all: from here on a release that is not in force yet may change what services keep."""

    digest: str

    def __str__(self) -> str:
        return f"{ENTRUSTED} release {self.digest[:12]}"


@dataclass(frozen=True, slots=True)
class RemoveTree:
    """Remove a folder that we made: an old release, a half-made one, everything on `down --purge`."""

    path: str

    def __str__(self) -> str:
        return f"rm -rf {shlex.quote(self.path)}"


@dataclass(frozen=True, slots=True)
class TakeSnapshot:
    """Keep what these folders of `data` hold as it is now, whole or not at all; a database by its own backup."""

    data: str
    names: tuple[str, ...]
    folder: str

    def __str__(self) -> str:
        sources = shlex.join(f"{self.data}/{name}" for name in self.names)
        return f"cp -a --reflink=auto -t {shlex.quote(self.folder)} {sources}   # databases: sqlite3 … .backup"


@dataclass(frozen=True, slots=True)
class RestoreSnapshot:
    """Bring back what was kept; nothing may use it meanwhile."""

    folder: str
    data: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        sources = shlex.join(f"{self.folder}/{name}" for name in self.names)
        return f"cp -a --reflink=auto -t {shlex.quote(self.data)} {sources}   {BROUGHT_BACK}"


Action = (
    MakeKey
    | TakeSnapshot
    | RestoreSnapshot
    | MakeFolder
    | MakeCertificate
    | PullImage
    | LoadImages
    | MakeModel
    | TakeFile
    | Download
    | MergeParts
    | LinkFile
    | WriteRelease
    | StopProcess
    | StartProcess
    | WriteFile
    | RemoveFile
    | RunTool
    | Activate
    | Entrust
    | RemoveTree
)


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
