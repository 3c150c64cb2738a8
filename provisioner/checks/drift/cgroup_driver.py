"""One program makes the control groups: two of them count the same memory twice, and pods end for no reason."""

from collections.abc import Iterator

from provisioner.model.facts import ContainerEngine, Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View

NAME = "cgroup_driver"
DOCKER_FIX = (
    '`"exec-opts": ["native.cgroupdriver=systemd"]` in /etc/docker/daemon.json, then `systemctl restart docker`'
)
CONTAINERD_FIX = (
    "`SystemdCgroup = {value}` below runc's options in /etc/containerd/config.toml, then `systemctl restart containerd`"
)


def run(view: View) -> Iterator[Finding]:
    if view.upkeep is None:
        return
    engine, file = view.facts.software.docker, view.upkeep.docker_configuration
    running = engine.cgroup_driver if isinstance(engine, ContainerEngine) else None
    written = None if file is None or isinstance(file, Unknown) else file.cgroup_driver
    if view.facts.software.systemd == "running" and running == "cgroupfs":
        told = "systemd runs this machine, and Docker makes control groups beside it (driver cgroupfs)"
        yield Finding(NAME, "warning", told, fix=DOCKER_FIX)
    elif running and written and running != written:
        told = f"Docker runs with the cgroup driver {running}, and its configuration says {written} since"
        yield Finding(NAME, "warning", told, fix="`systemctl restart docker` (its containers stop)")
    yield from _of_pods(view.upkeep.kubelet_cgroups, view.upkeep.containerd_cgroups)


def _of_pods(kubelet: str | None | Unknown, containerd: str | None | Unknown) -> Iterator[Finding]:
    """https://kubernetes.io/docs/setup/production-environment/container-runtimes: both have to be the same."""
    if isinstance(kubelet, str) and isinstance(containerd, str) and kubelet != containerd:
        told = f"the kubelet's cgroup driver is {kubelet}, and containerd's is {containerd}"
        yield Finding(NAME, "error", told, fix=CONTAINERD_FIX.format(value=str(kubelet == "systemd").lower()))


CHECK = Check(name=NAME, stage="drift", run=run)
