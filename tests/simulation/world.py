"""A machine made up in memory: effects change it, a survey reads it. `tests/contract` holds it to the real one."""

from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256

from provisioner import rendering
from provisioner.model.actions import (
    Action,
    Activate,
    Download,
    Entrust,
    LinkFile,
    LoadImages,
    MakeFolder,
    MakeKey,
    MakeModel,
    MergeParts,
    PullImage,
    RemoveFile,
    RemoveTree,
    RunTool,
    StartProcess,
    StopProcess,
    TakeFile,
    WriteFile,
    WriteRelease,
)
from provisioner.model.containers import MakeCertificate
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.release import Release, Running, Standing
from provisioner.model.weights import key_of_parts
from provisioner.targets.docker import parts_of

WANTS = "multi-user.target.wants"


def _service_of(unit: str) -> str:
    return unit.removeprefix("provision-").removesuffix(".service")


class SimulatedWorld:
    """Hands and survey in one. What the real world refuses, this one refuses too."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.current: str | None = None
        self.releases: dict[str, Release] = {}
        self.running: dict[int, Running] = {}
        self.blobs: set[str] = set()
        self.merged: dict[str, str] = {}
        self.keys: set[str] = set()
        self.links: set[str] = set()
        self.units: dict[str, str] = {}
        self.read: dict[str, str] = {}
        """What systemd read at the last `daemon-reload`: it starts this, and not what lies in the file since."""
        self.enabled: set[str] = set()
        self.failed: set[str] = set()
        self.logs: set[str] = set()
        self.leftovers: set[str] = set()
        self.images: dict[str, str] = {}
        self.data: set[str] = set()
        self.made: set[MakeCertificate] = set()
        self.live: dict[str, str] = {}
        self.listed: set[str] = set()
        """Repositories that a hub was asked for."""
        self.done: list[str] = []
        self.next_pid = 100

    def survey(self) -> Standing:
        return Standing(
            current=self.releases.get(self.current) if self.current else None,
            running=tuple(sorted(self.running.values(), key=lambda one: (one.service, one.started))),
            blobs=frozenset(self.blobs),
            keys=frozenset(self.keys),
            folders=frozenset(self.releases),
            links=frozenset(self.links),
            units=frozenset(self.units.items()),
            leftovers=tuple(sorted(self.leftovers)),
            trees=self._trees(),
            enabled=frozenset(f"{WANTS}/{name}" for name in self.enabled),
            images=dict(self.images),
            data=frozenset(self.data),
            made=frozenset(self.made),
            live=frozenset(self.live.items()),
        )

    def _trees(self) -> frozenset[str]:
        full = {
            "releases": self.releases, "blobs": self.blobs, "models": self.links, "secrets": self.keys | self.made, "logs": self.logs,
            "data": self.data, "live": self.live,
        }  # fmt: skip
        return frozenset(f"{self.place.state}/{name}" for name, content in full.items() if content)

    def carry_out(self, action: Action) -> None:  # noqa: C901 - one case an effect
        self.done.append(str(action))
        match action:
            case MakeKey(path):
                self.keys.add(path)
            case MakeFolder(path):
                self.data.add(path)
            case MakeCertificate():
                self.made.add(action)
            case PullImage(name):
                self.images[name] = f"{name.partition('@')[0]}@sha256:{sha256(name.encode()).hexdigest()}"
            case LoadImages(_, names):
                self.images |= {name: f"sha256:{sha256(name.encode()).hexdigest()}" for name in names}
            case Download(file) if file.origin.endswith("/"):
                raise FileNotFoundError(f"{file.origin}: nobody has listed its files")
            case MakeModel(file) | TakeFile(file) | Download(file):
                self.blobs.add(self._hash(file))
            case MergeParts(file):
                self._merge(file)
            case LinkFile(blob, path):
                if blob.rsplit("/", 1)[1] not in self.blobs:
                    raise FileNotFoundError(blob)
                self.links.add(path)
            case WriteRelease(release):
                self.releases[release.digest] = release
            case StopProcess(pid=pid):
                self.running.pop(pid, None)
            case StartProcess(service, digest, part=part):
                self._start(service, digest, "process", part)
            case WriteFile(path, content) if path.startswith(f"{self.place.live}/"):
                self.live[path] = content
            case WriteFile(path, content):
                self.units[path.removeprefix(self.place.unit_folder + "/")] = content
            case RemoveFile(path) if path.startswith(f"{self.place.live}/"):
                del self.live[path]
            case RemoveFile(path):
                self.units.pop(path.removeprefix(self.place.unit_folder + "/"), None)
                self.enabled.discard(path.removeprefix(f"{self.place.unit_folder}/{WANTS}/"))
            case RunTool(argv) if argv[0] == "docker":
                self._compose(argv)
            case RunTool(argv):
                self._systemctl([word for word in argv[1:] if word != "--user"])
            case Activate(digest):
                self.current = digest
                self._recognise(digest)
            case Entrust():
                pass
            case RemoveTree(path):
                self._remove(path)

    @staticmethod
    def _hash(file: WeightFile) -> str:
        return file.sha256 or f"{abs(hash(file.name)):064x}"[:64]

    def _merge(self, file: WeightFile) -> None:
        hashes = [self._hash(part) for part in file.parts]
        if not self.blobs.issuperset(hashes):
            raise FileNotFoundError(f"{file.name}: a part of it is not here")
        self.blobs.add(self._hash(file))
        self.merged[key_of_parts(hashes)] = self._hash(file)

    def _start(self, service: str, digest: str, target: str, part: str = "") -> None:
        if digest not in self.releases:
            return  # Its keeper finds no unit and ends at once.
        wanted = next(one for one in self.releases[digest].services if one.name == service)
        ports = {
            port for one in self.running.values() for known in self.releases[one.digest].services
            if known.name == one.service for port in (known.port,)
        }  # fmt: skip
        if wanted.port in ports:
            raise OSError(f"port {wanted.port} is taken")
        self.next_pid += 1
        self.logs.add(service)
        self.running[self.next_pid] = Running(service, digest, target, self.next_pid, self.next_pid, "S", part)

    def _recognise(self, digest: str | None) -> None:
        """Processes that were started from an earlier release with the same unit are of this one."""
        parts = rendering.parts_of(self.releases[digest]) if digest in self.releases else {}
        self.running = {
            pid: replace(one, digest=digest or "")
            if one.part and parts.get(one.service) == one.part and not one.contained
            else one
            for pid, one in self.running.items()
        }

    def _compose(self, argv: tuple[str, ...]) -> None:
        """What is not made from the same as before is made anew; what the file does not name goes."""
        ours = {pid: one for pid, one in self.running.items() if one.target == "docker"}
        if "down" in argv:
            self.running = {pid: one for pid, one in self.running.items() if pid not in ours}
            return
        digest = next(digest for digest in self.releases if f"/releases/{digest}/" in argv[argv.index("--file") + 1])
        parts = parts_of(self.releases[digest])
        gone = {pid for pid, one in ours.items() if parts.get(one.service) != one.part or "--force-recreate" in argv}
        self.running = {pid: one for pid, one in self.running.items() if pid not in gone}
        there = {one.service for pid, one in ours.items() if pid not in gone}
        for name, part in parts.items():
            if name not in there:
                self.next_pid += 1
                self.running[self.next_pid] = Running(name, digest, "docker", self.next_pid, 1, "running", part)
        self.running = {
            pid: replace(one, digest=digest) if one.target == "docker" else one for pid, one in self.running.items()
        }

    def _systemctl(self, words: list[str]) -> None:
        match [word for word in words if not word.startswith("--")]:
            case ["daemon-reload"]:
                self.read = dict(self.units)
            case ["reset-failed", pattern]:
                self.failed -= {name for name in self.failed if fnmatchcase(name, pattern)}
            case ["stop", name] if name in self.read:
                self._stop(name)
            case ["stop", pattern] if "[" in pattern:
                for name in [*self.read]:
                    if fnmatchcase(name, pattern):
                        self._stop(name)
            case ["enable", name] if name in self.units:
                self.enabled.add(name)
            case ["disable", name] if name in self.units:
                self.enabled.discard(name)
                self._stop(name)
            case ["restart", name] if name in self.read:
                self._stop(name)
                digest = next(digest for digest in self.releases if digest in self.read[name])
                self._start(_service_of(name), digest, "systemd", self.read[name].partition("--part=")[2][:16])
            case _:
                raise FileNotFoundError(f"systemctl {' '.join(words)}: there is no such unit")

    def _stop(self, name: str) -> None:
        """Those of other targets are none of systemd's business."""
        self.running = {
            pid: one for pid, one in self.running.items()
            if (one.service, one.target) != (_service_of(name), "systemd")
        }  # fmt: skip

    def _remove(self, path: str) -> None:
        name = path.removeprefix(self.place.state + "/")
        self.leftovers.discard(path)
        folders: dict[str, dict[str, Release] | dict[str, str] | set[str]] = {
            "releases": self.releases,
            "blobs": self.blobs,
            "models": self.links,
            "secrets": self.keys,
            "logs": self.logs,
            "data": self.data,
            "live": self.live,
        }
        if name in folders:
            folders[name].clear()
        elif name.startswith("releases/"):
            self.releases.pop(name.removeprefix("releases/"), None)
        if name == "secrets":
            self.made.clear()

    def edit(self, unit: str, text: str) -> None:
        """An administrator's hand in a unit file, and `systemctl daemon-reload` after it."""
        self.units[unit] = text
        self.read = dict(self.units)

    def lose(self, unit: str) -> None:
        """A unit file that somebody removed; its service runs on, and its link leads nowhere."""
        del self.units[unit]

    def fail(self, service: str) -> None:
        """A program that died under systemd, which gave it up."""
        self.crash(service)
        self.failed.add(f"provision-{service}.service")

    def crash(self, service: str) -> None:
        """A program that died of itself."""
        self.running = {pid: one for pid, one in self.running.items() if one.service != service}

    def freeze(self, service: str) -> None:
        self.running = {
            pid: replace(one, state="T") if one.service == service else one for pid, one in self.running.items()
        }
