"""The effects that put a release in force: each a value whose string a person can repeat by hand; `world` carries them out."""

import shlex

from provisioner.model.containers import MakeCertificate as MakeCertificate  # noqa: PLC0414 - it is one of them
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass
from provisioner.model.release import Release

ENTRUSTED = "# what services keep may be changed from here on, by"
BROUGHT_BACK = "# databases: sqlite3 … .restore"
"""How the lines begin and end by which a journal tells what became of people's data."""


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
