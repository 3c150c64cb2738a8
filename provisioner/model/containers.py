"""What runs in containers, whichever runtime starts them: a target translates this, and decides nothing."""

import shlex
from collections.abc import Mapping

from provisioner.model.facts import Unknown
from provisioner.model.record import dataclass, field

RENEWED_DAYS = 30
"""So long before its end a certificate of ours is made anew, and one of the operator's is spoken of."""


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release, by its path in the release's folder."""

    path: str
    content: str
    mode: int = 0o644
    awaited: bool = False
    """Its reader looks for changes of it while it runs: another content needs no other container."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host, seen inside. A source that begins with `@RELEASE@/` is a file of the release itself.

    One that begins with `@LIVE@/` is a folder of such files at a place that is the same for all releases: a container that reads there
    goes on when the next release is put in force.
    """

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """A port of the container that the host listens on, at one of its addresses."""

    host: str
    port: int
    inside: int
    leads_to: str = ""
    """The engine that is reached there, past a test of the key; that engine is not published itself."""


@dataclass(frozen=True, slots=True)
class Health:
    """What the runtime runs inside to see that the program is well."""

    command: tuple[str, ...]
    interval_seconds: int = 10
    timeout_seconds: int = 5
    retries: int = 6
    start_seconds: int = 30


@dataclass(frozen=True, slots=True)
class Grant:
    """What a program in a container needs to use devices of one maker; each target takes of it what its runtime knows."""

    vendor: str
    cdi: tuple[str, ...] = ()
    """Names of the Container Device Interface: `nvidia.com/gpu=GPU-…`."""
    runtime: str = ""
    """The maker's own runtime, for container engines that do not know CDI."""
    runtime_ids: tuple[str, ...] = ()
    """The devices by the names that this runtime takes."""
    nodes: tuple[str, ...] = ()
    """Device files."""
    mounts: tuple[Mount, ...] = ()
    """Libraries and tools of the driver that its images expect from the host."""
    groups: tuple[str, ...] = ()
    """Groups that own the device files."""
    env: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""
    """What Kubernetes calls one such device."""


@dataclass(frozen=True, slots=True)
class Container:
    """One long-running program in a container, complete."""

    name: str
    """Unique in the stack; others reach it by this name."""
    kind: str
    """The engine or the service plug-in that it is of."""
    image: str
    argv: tuple[str, ...] = ()
    """The whole command line; empty for what the image itself starts."""
    env: Mapping[str, str] = field(default_factory=dict)
    secret_env: Mapping[str, str] = field(default_factory=dict)
    """Variables whose values lie in files of the host: read inside at the start, so that nobody sees them in a description."""
    secrets: tuple[str, ...] = ()
    """Files of the host that are seen as `/run/secrets/<their name>`."""
    mounts: tuple[Mount, ...] = ()
    published: tuple[Published, ...] = ()
    health: Health | None = None
    cpus: str | None = None
    numa_nodes: str | None = None
    memory_max_bytes: int | None = None
    shared_memory_bytes: int | None = None
    open_files: int | None = None
    grant: Grant | None = None
    read_only: bool = True
    temporary: tuple[str, ...] = ("/tmp",)  # noqa: S108 - a folder in memory inside the container
    user: str = ""
    """`uid:gid`; empty for the owner of the state folder, whose secrets it reads."""
    capabilities: tuple[str, ...] = ()
    """What it keeps of root's powers; all others are taken away."""
    stop_seconds: int = 20
    host_network: bool = False
    """Only for what measures the host itself."""
    host_processes: bool = False
    closed: bool = False
    """Only the other containers of the stack reach it: nobody on the host does, not even by its address."""
    node: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a service beside the engines, to see that it does its work; through the port that is published."""

    service: str
    what: str
    """In words: `the chat page`, `the models, with a key`."""
    url: str
    status: int = 200
    key_file: str = ""
    """Whose key is sent; empty for a question without one."""
    authority: str = ""
    """File of the certificate authority that vouches for the server."""
    contains: str = ""
    behind: str = ""
    """The model whose engines have to be well for the answer; empty where the service answers by itself."""


@dataclass(frozen=True, slots=True)
class MakeCertificate:
    """The certificate that the gateway shows: the operator's, or one by an authority that is made for this machine."""

    folder: str
    names: tuple[str, ...]
    """What clients call this machine: names and addresses, the foremost first."""
    certificate: str = ""
    """The operator's own, with what vouches for it; empty for one that is made."""
    key: str = ""

    def __str__(self) -> str:
        served = shlex.quote(f"{self.folder}/served/server.pem")
        if self.certificate:
            return f"cat {shlex.quote(self.key)} {shlex.quote(self.certificate)} > {served}"
        kinds = (f"{'IP' if name.replace('.', '').isdecimal() or ':' in name else 'DNS'}:{name}" for name in self.names)
        return (
            f"umask 077; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 397 -subj /CN={self.names[0]} "
            f"-addext subjectAltName={','.join(kinds)} -keyout {served} >> {served}"
        )


@dataclass(frozen=True, slots=True)
class CertificateSeen:
    """A certificate as it is shown to clients now."""

    wanted: MakeCertificate
    left_seconds: int | Unknown
    """Until it ends, or the first of those that vouch for it does; nothing or less where it has."""
