"""Every choice made, nothing left for later."""

from collections.abc import Mapping

from provisioner.model.containers import Container, Grant, MakeCertificate, Question, ReleaseFile
from provisioner.model.learned import Reckoned
from provisioner.model.record import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check saw. `level`: `error` stops or rolls back, `warning` and `note` do not."""

    id: str
    level: str
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    option: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    subject: str
    choice: str
    because: str
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of a model. `sha256` is None until the hub has named it; then the plan is complete."""

    name: str
    size_bytes: int
    sha256: str | None
    origin: str
    """`made`: on the spot; a path of this machine; or `hub:<source>/<repository>/<file>`.

    `hub:<source>/<repository>/` stands for all files of a repository that nobody has listed yet; `convert:` instead of `hub:`,
    for what would have to be made of it; `merged:` and the place beside its parts, for what is made of them.
    """
    parts: tuple["WeightFile", ...] = ()
    """What it has to be merged of, in their order; empty where it is at hand, or comes as it is."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    id: str
    title: str
    precision: str
    format: str
    files: tuple[WeightFile, ...]
    weights_bytes: int
    layers: int
    parameters: int
    trained_context: int
    source: str


@dataclass(frozen=True, slots=True)
class DeviceBudget:
    """Where the memory of one device (or of the host, device `host`) goes. `free_bytes` is what is left over."""

    device: str
    total_bytes: int
    budget_bytes: int
    weights_bytes: int
    kv_cache_bytes: int
    activation_bytes: int
    overhead_bytes: int
    free_bytes: int
    basis: str
    uncertain_bytes: int = 0
    """By how much activations and overhead together may be more than is said; less is as likely."""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """`per_device` is that of every copy of the model; `kv_tokens` are those of one copy."""

    per_device: tuple[DeviceBudget, ...]
    kv_bytes_per_token: int
    kv_tokens: int
    host_ram_bytes: int
    disk_bytes: int
    kv_tokens_low: int = 0
    kv_tokens_high: int = 0
    """The range that the engine's own overhead leaves open; both are `kv_tokens` where nothing is."""


@dataclass(frozen=True, slots=True)
class Parallel:
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    nodes: int = 1
    replicas: int = 1
    expert: bool = False
    decode_context: int = 1


@dataclass(frozen=True, slots=True)
class Capacity:
    """Estimates until they are measured. `tokens_per_second` is what one request alone gets, `total` all together."""

    concurrent_at_context: int
    users: int
    tokens_per_second: float | None
    basis: str
    total_tokens_per_second: float | None = None
    first_token_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A further model of a server that holds several."""

    model_name: str
    model_path: str
    context: int
    slots: int
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """One long-running program, complete: whoever starts it needs nothing else."""

    name: str
    engine: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    host: str
    port: int
    model_name: str
    model_path: str
    context: int
    slots: int
    cpus: str | None
    """CPU list that the program may run on, None for all."""
    numa_nodes: str | None
    memory_max_bytes: int | None
    key_file: str
    health_path: str
    ready_seconds: int
    first_token_seconds: int
    open_files: int = 1024
    devices: tuple[str, ...] = ()
    image: str | None = None
    node: int = 0
    """Which of the machines alike it runs on, from 0."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The engine's own flags that were planned for this machine, without their dashes."""
    grant: Grant | None = None
    """What a container needs to use the devices."""
    shared_memory_bytes: int | None = None
    """Of a container: what its processes may share, where they are several."""
    adapters: tuple[str, ...] = ()
    """Further names that it answers to, each with an adapter over its model."""
    model_sha256: str = ""
    """Of the weights, where they are one file whose hash is known."""
    further: tuple[Loaded, ...] = ()
    """Models beside its first one, of an engine that has one server for all."""
    home: tuple[str, ...] = ()
    """Folders in the home of whoever runs it that it writes into."""

    @property
    def model_folder(self) -> str:
        return folder_of(self.model_path)

    @property
    def each(self) -> "tuple[Service, ...]":
        """As it is to whoever asks for one of its models: once for each of them."""
        if not self.further:
            return (self,)
        others = (
            replace(self, model_name=one.model_name, model_path=one.model_path, context=one.context, slots=one.slots,
                    options=one.options, further=())
            for one in self.further
        )  # fmt: skip
        return (replace(self, further=()), *others)

    @property
    def model_names(self) -> tuple[str, ...]:
        return (self.model_name, *(one.model_name for one in self.further))

    @property
    def model_folders(self) -> tuple[str, ...]:
        """Of each of its models, in the order of their names."""
        return (self.model_folder, *(folder_of(one.model_path) for one in self.further))


def folder_of(model_path: str) -> str:
    """Where weights lie: beside each other in the folder of their first file, or in a folder of the model's."""
    folder, _, name = model_path.rpartition("/")
    return folder if name.endswith(".gguf") else model_path


@dataclass(frozen=True, slots=True)
class PlannedModel:
    """One of several models on a machine: what a plan of one model says of its own."""

    model: ModelChoice
    engine: str
    precision: str
    parallel: Parallel
    context: int
    memory: MemoryBudget
    capacity: Capacity | None
    services: tuple[str, ...]
    """The names of its services in the plan."""
    reckoned: tuple[Reckoned, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A change that would make a refused plan fit, and what it costs."""

    change: str
    effect: str
    flags: tuple[str, ...]
    """What has to be said as well, for a change of what is wanted."""
    what_if: str = ""
    """For a change of the machine: `provision plan --what-if` with this shows the plan."""
    without: tuple[str, ...] = ()
    """Settings that have to be left out for it, as `--set` names them."""
    tokens_per_second: float | None = None
    """Of one request alone, by estimate; None where nobody can say."""


@dataclass(frozen=True, slots=True)
class Plan:
    verdict: str
    """`fits` or `refused`."""
    profile: str
    hostname: str
    model: ModelChoice | None
    engine: str | None
    target: str | None
    parallel: Parallel
    context: int
    memory: MemoryBudget | None
    capacity: Capacity | None
    services: tuple[Service, ...]
    decisions: tuple[Decision, ...]
    binding: str
    cheapest_changes: tuple[Change, ...]
    findings: tuple[Finding, ...]
    reckoned: tuple[Reckoned, ...] = ()
    """The memory part by part, by the arithmetic and as corrected: what the engine says after its start is held against it."""
    models: tuple[PlannedModel, ...] = ()
    """Each of several models, in the order in which they were named; empty where there is one, which the plan itself tells.

    With several, `model`, `engine`, `parallel`, `context`, `capacity` and `reckoned` are those of the first, and `memory` adds up all of them.
    """
    beside: tuple[Container, ...] = ()
    """What stands beside the engines: chat page, gateway, monitoring; empty on targets that start engines alone."""
    files: tuple[ReleaseFile, ...] = ()
    """Configuration that they read; in a release these are files, and no part of the record of its plan."""
    makes: tuple[MakeCertificate, ...] = ()
    """What has to be there besides before these start."""
    questions: tuple[Question, ...] = ()
    """What these are asked after their start."""

    @property
    def chosen(self) -> tuple[ModelChoice, ...]:
        """Every model of the plan, whether there is one or several."""
        return tuple(one.model for one in self.models) or ((self.model,) if self.model else ())

    @property
    def weights(self) -> tuple[WeightFile, ...]:
        """Every file of weights, each once, parts before what is merged of them: models may share one."""
        files = (file for one in self.chosen for file in one.files)
        return tuple(dict.fromkeys(one for file in files for one in (*file.parts, file)))

    def model_of(self, service: Service) -> ModelChoice | None:
        """The model that a service serves."""
        return next(iter(self.models_of(service)), None)

    def models_of(self, service: Service) -> tuple[ModelChoice, ...]:
        """All of them, in the order in which the service has them."""
        named = tuple(one.model for one in self.models if service.name in one.services)
        return named[: len(service.model_names)] or ((self.model,) if self.model else ())
