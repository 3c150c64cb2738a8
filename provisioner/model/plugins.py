"""The shapes that a folder scan finds: an engine, a vendor, a target, a check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from provisioner.model.record import dataclass, field

if TYPE_CHECKING:  # `detect` needs a Vendor, and shall not pay for loading plans and releases.
    from provisioner.model.actions import Action
    from provisioner.model.causes import Cause
    from provisioner.model.containers import CertificateSeen, Container, Grant, MakeCertificate, Question
    from provisioner.model.facts import Accelerator, Fact, HostFacts
    from provisioner.model.load import Load, Usage
    from provisioner.model.measured import Measured
    from provisioner.model.plan import Finding, Plan, Service
    from provisioner.model.release import Release, ReleaseFile, Standing
    from provisioner.model.report import Observed
    from provisioner.model.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Vendor:
    """One maker of accelerators: how its devices are seen, and what a container or process needs to use them."""

    name: str
    pci_vendor_ids: tuple[str, ...]
    probe: Fact[tuple[Accelerator, ...]]
    visible_devices: str
    """The environment variable that limits a program to some devices; empty where there is none."""
    pci_classes: tuple[str, ...] = ("03", "12", "0b40")
    """Of which kind of device: this maker's other ones (network, management, encryption) are no accelerators."""
    integrated: tuple[str, ...] = ()
    """Addresses where this maker's processors show their own graphics: not alone a reason to start a tool."""
    nodes: tuple[str, ...] = ()
    """How the names of its devices in /dev begin, where a container shows no bus."""
    system: str = ""
    """The operating system that all its devices come with, where no bus shows them."""
    host_share: Callable[[int], int] | None = None
    """Of so many bytes of memory that its device shares with processors, what the device may have; None where it may have all."""
    interface_variables: tuple[str, ...] = ("NCCL_SOCKET_IFNAME", "GLOO_SOCKET_IFNAME")
    """How libraries for ranks of several nodes are told their interface: NCCL's, unless the maker has one of its own."""
    grant: Callable[[tuple[Accelerator, ...]], Grant] | None = None
    """What a container needs to use these of its devices; None where the maker says no way."""


def refuses_nothing(_load: Load) -> str:
    return ""


def no_causes() -> tuple[Cause, ...]:
    return ()


def refuses_no_card(_card: Accelerator) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Engine:
    """One inference server: how it is started, what its answers look like, and what it takes of a device."""

    name: str
    title: str
    formats: tuple[str, ...]
    command: Callable[[Service], list[str]]
    environment: Callable[[Service], Mapping[str, str]]
    health_path: str
    """Answers with 200 once it can be asked; `{model}` stands for the name of its model."""
    context_path: str
    context_field: tuple[str, ...]
    """Where the engine itself tells its effective context: the path of a JSON answer and the way into it; empty where nowhere."""
    options: tuple[str, ...] = ()
    """Flags that are planned, and that `--set engine.<flag>=value` reaches."""
    alike: tuple[str, ...] = ()
    """Flags that have one value in this engine: whoever sets one of them sets all."""
    cache_types: tuple[str, ...] = ()
    """Values of its `kv-cache-dtype`, as far as it is known how many bytes they take."""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What other flags take, of those that take words; as far as the arithmetic knows what they mean."""
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of its `quantization` that load a checkpoint, by the checkpoint's precision; others would contradict its files."""
    program: tuple[str, ...] = ()
    """What comes before the arguments; empty for the one that is embedded in this program."""
    image_program: tuple[str, ...] = ()
    """The same inside its image, where that is another."""
    key_variable: str = ""
    """The environment variable that it takes its key from, where it reads no file; it is set inside its container."""
    adapters: str = ""
    """The flag that names adapters (LoRA); empty where none are planned for."""
    adapter_ranks: tuple[int, ...] = ()
    """The ranks that room may be kept for, for adapters that answer beside the model; () where one is laid over all of it."""
    drafters: tuple[str, ...] = ()
    """Who may draft tokens ahead in it: `ngram`, `mtp`, `draft`."""
    keyless: bool = False
    """It knows no keys: whoever reaches it is answered."""
    tasks: tuple[str, ...] = ("chat",)
    """Kinds of models that it serves, as the catalog names them."""
    one_file: bool = False
    """It loads a GGUF of one file alone."""
    targets: tuple[str, ...] = ("process",)
    """Runtimes that can start it; the first is taken when the operator names none. The embedded one runs on all."""
    systems: tuple[str, ...] = ()
    """Operating systems beside Linux, by the word that makers have for theirs, on which it is planned as a process."""
    one_server: bool = False
    """It serves all its models on a machine through one server, at one port."""
    home: tuple[str, ...] = ()
    """Folders in the home of whoever runs it that it writes into."""
    installed_at: str = ""
    """Its program in that home, for one that somebody has to install beforehand; empty for all that we bring."""
    install: str = ""
    """How that is done."""
    vendors: tuple[str, ...] = ("nvidia",)
    """Whose accelerators it runs on."""
    bounded: bool = True
    """Whether it keeps to bytes that it is told beforehand, so that others may be on its devices; else they are its alone."""
    start_seconds: int = 30
    """From its start to its first answer, beside the reading of weights: servers that compile and capture graphs take minutes.
    One without weights is there in two or three seconds; machines under load take longer."""
    on_processors: Callable[[tuple[str, ...]], Mapping[str, str]] | None = None
    """Variables that give its ranks these lists of processors, where it runs on them alone; None for one that does not."""
    experts_on_host: bool = False
    """It keeps the experts of a mixture in host memory and everything else on one card."""
    refuses: Callable[[Load], str] = refuses_nothing
    """Why it cannot run this at all: kernels that are not there, degrees that do not divide; empty when it can."""
    refuses_card: Callable[[Accelerator], str] = refuses_no_card
    """Why it would leave this device alone, and compute on the host without a word; of engines that plan no load."""
    usage: Callable[[Load], Usage] | None = None
    """What it claims of a device as a share, and takes for itself; None for one that takes what its model needs."""
    read_back: Callable[[str, str], Measured] | None = None
    """Its own figures, out of its log and the text of its metrics; None for one that tells none."""
    on_devices: Callable[[object], float | None] | None = None
    """How much of its model is on devices, from 0 to 1, out of the answer at `context_path`; None for one that chooses no such thing
    by itself.
    """
    causes: Callable[[], tuple[Cause, ...]] = no_causes
    """Why it did not start, by what it writes; loaded when something is wrong."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What the services beside the engines are made for."""

    engines: tuple[Service, ...]
    """Each model's servers; several with one `model_name` are replicas."""
    place: Place
    host: str
    """The address that the gateway is published on."""
    port: int
    vendors: tuple[str, ...]
    """Makers of the accelerators that are used."""
    images: Mapping[str, str]
    """By container name, where the operator named another than ours."""
    settings: Mapping[str, str]
    """`--set <service>.<key>=value` of these services, by the whole name."""
    wanted: frozenset[str] = frozenset()
    """The plug-ins that stand in this stack."""
    hostname: str = "localhost"
    addresses: tuple[str, ...] = ()
    """By which others reach this machine, where they are known."""


def makes_nothing(_stack: Stack) -> tuple[MakeCertificate, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Companion:
    """A service beside the engines: its containers, the files that they read, and how to see that they do their work."""

    name: str
    title: str
    containers: Callable[[Stack], tuple[Container, ...]]
    files: Callable[[Stack], tuple[ReleaseFile, ...]]
    """Configuration, in a folder of the plug-in's name; mounted by `@RELEASE@/<name>/…` or `@LIVE@/<name>`."""
    questions: Callable[[Stack], tuple[Question, ...]]
    monitoring: bool = False
    """Left out where no monitoring is wanted."""
    makes: Callable[[Stack], tuple[MakeCertificate, ...]] = makes_nothing
    """What has to be there besides before they start."""
    settings: tuple[str, ...] = ()
    """Names under its own that `--set` reaches: `rate` is set by `--set gateway.rate=…`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One runtime: the files of a release, and the effects between what stands and what is wanted."""

    name: str
    files: Callable[[Plan, Place], tuple[ReleaseFile, ...]]
    replace: Callable[[Standing, Release | None, Place], tuple[Action, ...]]
    """From what stands to this release (None: to nothing): stop, start, install, remove; () when it stands already."""
    restart: Callable[[Standing, Release, Place], tuple[Action, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where things go on the machine."""

    state: str
    python: str
    unit_folder: str
    user_manager: bool
    owner: str = "0:0"
    """`uid:gid` of whoever runs us."""

    @property
    def mark(self) -> str:
        """First in every unit that was made for this state: two states on one machine keep apart by it."""
        return (
            "# made by provision: the next `provision up` or `down` replaces or removes this file\n"
            f"# state: {' '.join(self.state.splitlines())}\n"
        )

    @property
    def project(self) -> str:
        """The name of this state's containers: two states on one machine keep apart by it."""
        from hashlib import sha256

        if self.state == "/var/lib/provision":
            return "provision"
        return f"provision-{sha256(self.state.encode()).hexdigest()[:8]}"

    @property
    def database(self) -> str:
        return f"{self.state}/state.db"

    def release(self, digest: str) -> str:
        return f"{self.state}/releases/{digest}"

    @property
    def live(self) -> str:
        """Files of the release in force that are read at the same place whichever release that is."""
        return f"{self.state}/live"

    def data(self, service: str) -> str:
        """What a service beside the engines keeps for itself; it outlives every release."""
        return f"{self.state}/data/{service}"

    def snapshot(self, digest: str) -> str:
        """What services kept in the time of a release."""
        return f"{self.state}/snapshots/{digest}"

    def blob(self, sha256: str) -> str:
        return f"{self.state}/blobs/sha256/{sha256}"


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """The systemd that answers to whoever runs us, and its folder of units."""

    user: str | None
    """None for the system's own."""
    answers: bool
    lingers: bool
    """Whether it runs on when its user logs out; the system's always does."""
    folder: str
    writable: bool
    others: tuple[str, ...]
    """Units that have a name of ours, and that this state did not make."""


@dataclass(frozen=True, slots=True)
class View:
    """All that a check may look at."""

    plan: Plan
    facts: HostFacts
    observed: Observed | None
    ports_taken: Mapping[int, str]
    """Ports that somebody else listens on, and who."""
    state: str
    service_manager: ServiceManager | None = None
    """None where nobody looked: for another machine, and for a plan that needs none."""
    upkeep: Upkeep | None = None
    """None but for the checks of stage `drift`."""
    certificates: tuple[CertificateSeen, ...] = ()
    """Of what is in force; empty before anything is."""
    spare_bytes: int = 0
    """On the disk, in half-made files of a run that was cut off: the next one goes on from them, or removes them first."""
    image_bytes: int = 0
    """What the images that are not here yet take on the container engine's disk, as far as it is known."""


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. `stage`: `before` anything is done; `after`, over what was observed; `drift`, whenever `doctor` looks."""

    name: str
    stage: str
    run: Callable[[View], Iterator[Finding]]
