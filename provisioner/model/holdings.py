"""The weights that a store holds: which model each file is of, what it takes on disk, and which releases need it."""

from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class HeldFile:
    name: str
    sha256: str
    size_bytes: int
    disk_bytes: int
    """What it takes on the disk, however many names it has."""
    origin: str
    """Where it came from: `made`, a path of this machine, `hub:…`; empty where it is not known any more."""
    sound: bool
    """It is what it was when it was hashed, as far as its size and time tell."""
    shared: bool
    """It is a file of the operator's as well: removing it here frees nothing."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """One model in one precision, in a folder of its own for the engines."""

    folder: str
    id: str
    title: str
    precision: str
    files: tuple[HeldFile, ...]
    releases: tuple[str, ...] = ()
    """Kept releases that serve it: it stays as long as one of them does."""

    @property
    def format(self) -> str:
        return "gguf" if any(file.name.endswith(".gguf") for file in self.files) else "safetensors"

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def disk_bytes(self) -> int:
        return sum(file.disk_bytes for file in {file.sha256: file for file in self.files}.values())

    @property
    def sound(self) -> bool:
        return bool(self.files) and all(file.sound for file in self.files)


@dataclass(frozen=True, slots=True)
class Holdings:
    models: tuple[HeldModel, ...] = ()
    loose: tuple[HeldFile, ...] = ()
    """Weights that belong to no model any more."""
    part_bytes: int = 0
    """Of downloads that were broken off."""
    in_force: str | None = None

    @property
    def files(self) -> tuple[HeldFile, ...]:
        """Each once, though several models may share one."""
        found = (*(file for model in self.models for file in model.files), *self.loose)
        return tuple({file.sha256: file for file in found}.values())

    @property
    def disk_bytes(self) -> int:
        return sum(file.disk_bytes for file in self.files) + self.part_bytes

    @property
    def shared_bytes(self) -> int:
        return sum(file.disk_bytes for file in self.files if file.shared)


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not what its name says. `found` is its hash now; empty where it cannot be read."""

    model: str
    file: HeldFile
    found: str


@dataclass(frozen=True, slots=True)
class Verified:
    models: tuple[HeldModel, ...]
    files: int
    bytes: int
    damaged: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came, or went."""

    did: str
    models: tuple[HeldModel, ...]
    changed: bool
    freed_bytes: int = 0
