"""Ask a machine every question once; what cannot be had becomes `Unknown`, never an exception."""

from collections.abc import Mapping
from typing import TypeVar

from provisioner.facts import (
    clock,
    container_toolkit,
    cpu,
    cuda,
    disk,
    docker,
    filesystem,
    host,
    kubernetes,
    limits,
    memory,
    network,
    numa,
    nvidia_driver,
    pci,
    rdma,
    runtime,
    secure_boot,
    systemd,
)
from provisioner.model.facts import (
    Accelerator,
    Answers,
    AskAll,
    AskDocker,
    AskKernel,
    AskNvml,
    CannotAsk,
    Fact,
    Filesystem,
    HostFacts,
    Limits,
    Machine,
    NotThere,
    PciDevice,
    Question,
    ReadFiles,
    Software,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace

T = TypeVar("T")

MOST_PLACES = 12
"""Of one question; where it reads more files, their folders say enough."""


def gather(machine: Machine, vendors: Mapping[str, Vendor]) -> HostFacts:
    """Everything that can be known of the machine."""
    asked = _Asked(machine)
    devices = _devices(asked)
    return HostFacts(
        host=asked.about(host.FACT),
        cpu=asked.about(cpu.FACT),
        numa=asked.about(numa.FACT),
        memory=asked.about(memory.FACT),
        limits=_limits(asked),
        disks=asked.about(disk.FACT),
        filesystems=_filesystems(asked),
        network=asked.about(network.FACT),
        rdma=asked.about(rdma.FACT),
        pci=devices,
        accelerators={name: _placed(asked.about(vendor.probe), devices) for name, vendor in vendors.items()},
        software=_software(asked),
        sources=dict(sorted(asked.sources.items())),
    )


class _Asked:
    """Questions put to one machine: the same one is asked once, and where each fact came from is kept."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._answers: dict[Question, Answers | Unknown] = {}
        self.sources: dict[str, str] = {}

    def about(self, fact: Fact[T]) -> T | Unknown:
        self.sources[fact.name] = _source(fact.question)
        answers = self._answer(fact.question)
        if isinstance(answers, Unknown):
            return answers
        if not answers:
            return fact.absent
        try:
            return fact.parse(answers)
        except (ValueError, KeyError, OverflowError) as error:
            return Unknown(f"{fact.name}: {_sentence(error)}")

    def _answer(self, question: Question) -> Answers | Unknown:
        if question not in self._answers:
            try:
                self._answers[question] = self._machine.ask(question)
            except NotThere:
                self._answers[question] = {}
            except CannotAsk as error:
                self._answers[question] = Unknown(str(error))
        return self._answers[question]


def _sentence(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _devices(asked: _Asked) -> tuple[PciDevice, ...] | Unknown:
    addresses = asked.about(pci.ADDRESSES)
    if isinstance(addresses, Unknown) or not addresses:
        return addresses if isinstance(addresses, Unknown) else ()
    return asked.about(pci.at(addresses))


def _limits(asked: _Asked) -> Limits | Unknown:
    groups = asked.about(limits.GROUPS)
    return groups if isinstance(groups, Unknown) else asked.about(limits.within(groups))


def _filesystems(asked: _Asked) -> tuple[Filesystem, ...] | Unknown:
    mounts = asked.about(filesystem.MOUNTS)
    return mounts if isinstance(mounts, Unknown) else asked.about(filesystem.measured(mounts))


def _placed(
    accelerators: tuple[Accelerator, ...] | Unknown, devices: tuple[PciDevice, ...] | Unknown
) -> tuple[Accelerator, ...] | Unknown:
    """Each with the NUMA node that the bus shows for it, where its own driver does not tell."""
    if isinstance(accelerators, Unknown) or isinstance(devices, Unknown):
        return accelerators
    nodes = {device.address: device.numa_node for device in devices}
    return tuple(
        replace(each, numa_node=nodes.get(each.pci)) if each.numa_node is None else each for each in accelerators
    )


def _software(asked: _Asked) -> Software:
    user = asked.about(systemd.USER)
    return Software(
        runtime=asked.about(runtime.FACT),
        nvidia_driver=asked.about(nvidia_driver.FACT),
        cuda=asked.about(cuda.FACT),
        docker=asked.about(docker.FACT),
        container_toolkit=asked.about(container_toolkit.FACT),
        kubernetes=asked.about(kubernetes.FACT),
        systemd=asked.about(systemd.FACT),
        systemd_user=user is True,
        secure_boot=asked.about(secure_boot.FACT),
        clock_unix=asked.about(clock.FACT),
        clock_synchronised=asked.about(clock.IN_STEP),
    )


def _source(question: Question) -> str:
    """In words short enough for a report: what was read or asked."""
    match question:
        case ReadFiles(files, links):
            places = [_folder(pattern) for pattern in (*files, *links)]
            if len(places) > MOST_PLACES:
                places = [place.rpartition("/")[0] for place in places]
            return ", ".join(dict.fromkeys(places))
        case AskKernel(topics):
            return ", ".join(dict.fromkeys(topic.partition(":")[0] for topic in topics))
        case AskDocker(paths):
            return "Docker socket: " + ", ".join(paths)
        case AskNvml():
            return "NVML"
        case AskAll(questions):
            return ", ".join(_source(part) for part in questions)


def _folder(pattern: str) -> str:
    """The part of a pattern before its first star."""
    return pattern.partition("*")[0].rpartition("/")[0] if "*" in pattern else pattern
