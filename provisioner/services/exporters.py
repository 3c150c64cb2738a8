"""What tells Prometheus of the host and of its accelerators."""

from provisioner.model.containers import Container, Grant, Mount, ReleaseFile
from provisioner.model.plugins import Companion, Stack
from provisioner.model.record import replace
from provisioner.services._gpu_metrics import GPUS

NAME = "exporters"
HOST = "node-exporter"
GPU = "gpu-exporter"

IMAGE = "docker.io/prom/node-exporter:v1.11.1"
"""https://github.com/prometheus/node_exporter"""
PORT = 9100
NOBODY = "65534:65534"
"""It sees the whole file system of the host, and needs to read what everybody may."""
MEMORY_BYTES = 2**28

LEFT_OUT = (
    "netdev",
    "netclass",
    "netstat",
    "sockstat",
    "softnet",
    "arp",
    "conntrack",
    "udp_queues",
    "nfs",
    "nfsd",
    "ipvs",
)
"""Of its own network it would tell the container's: seeing the host's takes a port on all of the host's addresses."""

NO_DISKS = "^/(dev|proc|sys|run|var/lib/(docker|containers|containerd)/.+)($|/)"


def containers(stack: Stack) -> tuple[Container, ...]:
    """One for the host, and one for each maker whose exporter is known."""
    return (_host(stack), *(_gpu(stack, maker) for maker in makers(stack)))


def _host(stack: Stack) -> Container:
    return Container(
        name=HOST,
        kind=NAME,
        image=stack.images.get(HOST, IMAGE),
        argv=(
            "node_exporter",
            "--path.rootfs=/host",
            "--path.procfs=/host/proc",
            "--path.sysfs=/host/sys",
            f"--web.listen-address=:{PORT}",
            f"--collector.filesystem.mount-points-exclude={NO_DISKS}",
            *(f"--no-collector.{name}" for name in LEFT_OUT),
        ),
        mounts=(Mount("/", "/host"),),
        memory_max_bytes=MEMORY_BYTES,
        user=NOBODY,
        host_processes=True,
    )


def makers(stack: Stack) -> tuple[str, ...]:
    """Whose accelerators are used here, given to the engines, and told of by an exporter."""
    return tuple(maker for maker in stack.vendors if maker in GPUS and _grant(stack, maker))


def gpu_exporter(maker: str) -> str:
    """The name of its container: machines with cards of two makers are rare, and there are some."""
    return f"{GPU}-{maker}"


def _gpu(stack: Stack, maker: str) -> Container:
    metrics, name = GPUS[maker], gpu_exporter(maker)
    return Container(
        name=name,
        kind=NAME,
        image=stack.images.get(name, metrics.image),
        env=metrics.env,
        mounts=(Mount(f"@LIVE@/{NAME}/{maker}", "/etc/provision"),) if metrics.files else (),
        memory_max_bytes=2 * 2**30,
        grant=_grant(stack, maker),
    )


def _grant(stack: Stack, maker: str) -> Grant | None:
    """All that the engines were given: it tells of the devices of this stack, and of no others."""
    found = [one.grant for one in stack.engines if not one.node and one.grant and one.grant.vendor == maker]
    if not found:
        return None
    merged = found[0]
    for grant in found[1:]:
        merged = replace(
            merged,
            cdi=_union(merged.cdi, grant.cdi),
            runtime_ids=_union(merged.runtime_ids, grant.runtime_ids),
            nodes=_union(merged.nodes, grant.nodes),
            env={name: _listed(merged.env.get(name, ""), value) for name, value in grant.env.items()},
        )
    return merged


def _union(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _listed(first: str, second: str) -> str:
    """Variables that name devices are lists of them."""
    return ",".join(_union(tuple(first.split(",")) if first else (), tuple(second.split(","))))


def files(stack: Stack) -> tuple[ReleaseFile, ...]:
    return tuple(
        ReleaseFile(f"{NAME}/{maker}/{name}", content)
        for maker in makers(stack)
        for name, content in GPUS[maker].files.items()
    )


SERVICE = Companion(
    name=NAME,
    title="exporters of the host and its accelerators",
    containers=containers,
    files=files,
    questions=lambda _stack: (),
    monitoring=True,
)
