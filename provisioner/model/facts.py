"""What a machine is: every fact is a value, or `Unknown` with the reason why it could not be had."""

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from provisioner.model.record import dataclass

DARWIN = "Darwin"
"""What the kernel of macOS calls itself."""
SYSTEM_NAMES = {DARWIN: "macOS"}
"""What people call other systems than Linux."""

T = TypeVar("T", covariant=True)  # noqa: PLC0105 - short where it is used; `Fact[int]` is also a `Fact[int | None]`.


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that could not be asked or understood. It is never the same as "there is none"."""

    reason: str


class NotThere(Exception):
    """The machine answered that what was asked for does not exist there."""


class CannotAsk(Exception):
    """The machine could not be asked: a library is missing, a driver is broken, time ran out."""


# Questions. `world` answers them live; a recording answers them from a folder.


@dataclass(frozen=True, slots=True)
class ReadFiles:
    """The text of files, and the targets of symbolic links, by path patterns as the shell knows them."""

    files: tuple[str, ...]
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AskKernel:
    """What no file tells: `uname`, `user`, `statvfs:<path>`, `clock`, `runtime`, `memory_devices`, `nodes`,
    `addresses`, each as JSON.
    """

    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskNvml:
    """Everything that the NVIDIA driver's library tells, as one JSON document under the key `nvml`."""


@dataclass(frozen=True, slots=True)
class AskDocker:
    """GET requests to the container engine's socket: each path's JSON body."""

    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AskTools:
    """What makers' own programs print, by command; each starts a process, so it is only asked where their device is seen."""

    commands: tuple[str, ...]
    """A program's name and its arguments, with one blank between."""
    folders: tuple[str, ...] = ()
    """Where else to look for programs that are not on the PATH."""


@dataclass(frozen=True, slots=True)
class AskAll:
    """Several questions whose answers one fact needs together."""

    questions: tuple[ReadFiles | AskKernel | AskTools, ...]


Question = ReadFiles | AskKernel | AskNvml | AskDocker | AskTools | AskAll
Answers = Mapping[str, str | Unknown]
"""One entry for each thing that exists; what is there and could not be read is `Unknown`."""


class Machine(Protocol):
    """This machine, a tree that was recorded on another, or one made up in memory."""

    def ask(self, question: Question) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """One question and the pure function that understands the answers; `absent` when nothing is there."""

    name: str
    question: Question
    parse: Callable[[Answers], T]
    absent: T | Unknown


# The facts themselves. Sizes are bytes, CPU lists are written as the kernel writes them ("0-3,8").


@dataclass(frozen=True, slots=True)
class Host:
    hostname: str
    os: str
    kernel: str
    architecture: str
    product: str | None
    virtualization: str | None
    boot_id: str | None
    system: str = "Linux"
    """As `uname -s` calls it."""


@dataclass(frozen=True, slots=True)
class Cpu:
    model: str
    vendor: str
    sockets: int
    cores: int
    threads: int
    online: str
    offline: str
    usable: str
    flags: tuple[str, ...]
    core_types: Mapping[str, str]
    max_mhz: int | None


@dataclass(frozen=True, slots=True)
class NumaNode:
    node: int
    cpus: str
    memory_bytes: int
    free_bytes: int | None
    distances: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class HugePages:
    size_bytes: int
    total: int
    free: int


@dataclass(frozen=True, slots=True)
class Memory:
    total_bytes: int
    available_bytes: int
    swap_bytes: int
    huge_pages: tuple[HugePages, ...]
    transparent_huge_pages: str | None
    channels: int | Unknown
    mega_transfers: int | None


@dataclass(frozen=True, slots=True)
class Limits:
    """What this process may use of the machine: the tightest of its cgroup and its resource limits."""

    cpus: float | None
    memory_bytes: int | None
    memory_used_bytes: int | None
    open_files: int | None
    locked_memory_bytes: int | None
    cgroup: str | None


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    size_bytes: int
    model: str | None
    speed_class: str
    rotational: bool | None
    removable: bool
    numa_node: int | None


@dataclass(frozen=True, slots=True)
class Filesystem:
    mount: str
    device: str
    type: str
    total_bytes: int
    free_bytes: int
    free_inodes: int | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class Interface:
    name: str
    kind: str
    up: bool
    speed_mbps: int | None
    mtu: int | None
    driver: str | None
    numa_node: int | None
    pci: str | None
    address: str | None = None
    """Its first IPv4 address; None where it has none, or where nobody could say."""


@dataclass(frozen=True, slots=True)
class RdmaDevice:
    name: str
    port: int
    state: str
    rate_gbps: float | None
    link_layer: str
    interface: str | None
    numa_node: int | None


@dataclass(frozen=True, slots=True)
class PciDevice:
    """A display controller or accelerator as the bus shows it, with or without a driver."""

    address: str
    vendor_id: str
    device_id: str
    class_id: str
    vendor: str | None
    name: str | None
    driver: str | None
    numa_node: int | None
    link_gts: float | None
    link_width: int | None
    max_link_gts: float | None
    max_link_width: int | None


@dataclass(frozen=True, slots=True)
class DeviceProcess:
    pid: int
    name: str | None
    used_bytes: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """A way from one accelerator to another: `to` is its index, `kind` nvlink | xgmi | hccs | pcie, `hops` the topology word."""

    to: int
    kind: str
    hops: str
    lanes: int | None
    peer_to_peer: bool | None


@dataclass(frozen=True, slots=True)
class Mig:
    enabled: bool
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accelerator:
    vendor: str
    name: str
    uuid: str
    index: int
    memory_bytes: int | Unknown
    free_bytes: int | Unknown
    compute_capability: str | None
    numa_node: int | None
    pci: str
    links: tuple[Link, ...]
    processes: tuple[DeviceProcess, ...] | Unknown
    pcie_generation: int | None
    pcie_width: int | None
    pcie_max_generation: int | None
    pcie_max_width: int | None
    ecc: bool | None
    ecc_errors: int | None
    row_remap: str | None
    mig: Mig | None
    persistence: bool | None
    problem: str | None
    architecture: str | None = None
    """What its compiler calls it: `gfx942`, `Ascend910B`; NVIDIA's have a compute capability instead."""
    part_of: str | None = None
    """The card that this device is a chip, a partition or a virtual function of; None where it is all of a card."""
    shares_host_memory: bool = False
    """Its memory is the host's, and is not there twice."""
    driver: str | None = None
    """The version of its kernel driver, where the maker's tool or the kernel tells."""


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    version: str
    api_version: str
    runtimes: tuple[str, ...]
    rootless: bool
    cgroup_driver: str | None
    storage_driver: str | None
    root: str | None
    podman: bool = False
    """Podman behind Docker's interface: it takes most of the words, and not all of them alike."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The Python that runs us and the embedded engine in it."""

    python: str
    version: str
    embedded: str | None
    embedded_backends: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Software:
    runtime: Runtime | Unknown
    nvidia_driver: str | None | Unknown
    cuda: str | None | Unknown
    docker: ContainerEngine | None | Unknown
    container_toolkit: str | None | Unknown
    kubernetes: str | None | Unknown
    systemd: str | None | Unknown
    systemd_user: bool
    secure_boot: bool | None | Unknown
    clock_unix: int | Unknown
    clock_synchronised: bool | None | Unknown


@dataclass(frozen=True, slots=True)
class HostFacts:
    host: Host | Unknown
    cpu: Cpu | Unknown
    numa: tuple[NumaNode, ...] | Unknown
    memory: Memory | Unknown
    limits: Limits | Unknown
    disks: tuple[Disk, ...] | Unknown
    filesystems: tuple[Filesystem, ...] | Unknown
    network: tuple[Interface, ...] | Unknown
    rdma: tuple[RdmaDevice, ...] | Unknown
    pci: tuple[PciDevice, ...] | Unknown
    accelerators: Mapping[str, tuple[Accelerator, ...] | Unknown]
    software: Software
    sources: Mapping[str, str]
    assumed: tuple[str, ...] = ()
    """Facts nobody stated (a machine given as a shorthand): taken as enough, and the plan says so."""
    nodes: int = 1
    """How many machines alike are planned for together."""
