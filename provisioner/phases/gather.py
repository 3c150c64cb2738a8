"""Ask a machine every question once; what cannot be had becomes `Unknown`, never an exception."""

from collections.abc import Callable, Mapping, Sequence
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
    presence,
    rdma,
    runtime,
    secure_boot,
    systemd,
)
from provisioner.model.facts import (
    DARWIN,
    Accelerator,
    Answers,
    AskAll,
    AskDocker,
    AskKernel,
    AskNvml,
    AskTools,
    CannotAsk,
    Cpu,
    Disk,
    Fact,
    Filesystem,
    Host,
    HostFacts,
    Interface,
    Limits,
    Machine,
    Memory,
    NotThere,
    PciDevice,
    Question,
    ReadFiles,
    Software,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, replace

T = TypeVar("T")

MOST_PLACES = 12
"""Of one question; where it reads more files, their folders say enough."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a system tells what every machine has; the rest is asked of all alike, and a system without it says so."""

    host: Fact[Host]
    cpu: Fact[Cpu]
    memory: Fact[Memory]
    disks: Fact[tuple[Disk, ...]]
    network: Fact[tuple[Interface, ...]]
    filesystems: Callable[["Asked"], tuple[Filesystem, ...] | Unknown]
    limits: Callable[["Asked"], Limits | Unknown]
    tools: tuple[Question, ...] = ()
    """What is asked of programs, all at once with the makers' own."""


def gather(machine: Machine, vendors: Mapping[str, Vendor]) -> HostFacts:
    """Everything that can be known of the machine."""
    asked = Asked(machine)
    found = asked.about(presence.FACT)
    signs = presence.Presence("", ()) if isinstance(found, Unknown) else found
    kind = _macos() if signs.system == DARWIN else LINUX
    devices = _devices(asked)
    on_bus = () if isinstance(devices, Unknown) else devices
    seen = [name for name, vendor in vendors.items() if is_seen(vendor, on_bus, signs)]
    questions = (*kind.tools, *(vendors[name].probe.question for name in seen))
    asked.listen([tool for question in questions for tool in _tools(question)])
    return HostFacts(
        host=asked.about(kind.host),
        cpu=asked.about(kind.cpu),
        numa=asked.about(numa.FACT),
        memory=asked.about(kind.memory),
        limits=kind.limits(asked),
        disks=asked.about(kind.disks),
        filesystems=kind.filesystems(asked),
        network=asked.about(kind.network),
        rdma=asked.about(rdma.FACT),
        pci=devices,
        accelerators={
            name: _placed(asked.about(vendor.probe), devices) if name in seen else asked.nothing(vendor.probe)
            for name, vendor in vendors.items()
        },
        software=_software(asked),
        sources=dict(sorted(asked.sources.items())),
    )


class Asked:
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
        except CannotAsk as error:
            return Unknown(str(error))
        except (ValueError, KeyError, OverflowError) as error:
            return Unknown(f"{fact.name}: {_sentence(error)}")

    def listen(self, wanted: Sequence[AskTools]) -> None:
        """Put the questions for tools all at once: each program takes its time to start."""
        commands = tuple(dict.fromkeys(command for each in wanted for command in each.commands))
        if commands:
            folders = tuple(dict.fromkeys(folder for each in wanted for folder in each.folders))
            told = self._machine.ask(AskTools(commands, folders))
            self._answers |= {each: {name: told[name] for name in each.commands} for each in wanted}

    def nothing(self, fact: Fact[T]) -> T | Unknown:
        """The fact of a machine that is known to have none of it: it is not asked."""
        self.sources[fact.name] = _source(fact.question)
        return fact.absent

    def _answer(self, question: Question) -> Answers | Unknown:
        if question not in self._answers:
            self._answers[question] = self._together(question) if isinstance(question, AskAll) else self._one(question)
        return self._answers[question]

    def _together(self, question: AskAll) -> Answers | Unknown:
        answers: dict[str, str | Unknown] = {}
        for part in question.questions:
            found = self._answer(part)
            if isinstance(found, Unknown):
                return found
            answers |= found
        return answers

    def _one(self, question: Question) -> Answers | Unknown:
        try:
            return self._machine.ask(question)
        except NotThere:
            return {}
        except CannotAsk as error:
            return Unknown(str(error))


def _sentence(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _devices(asked: Asked) -> tuple[PciDevice, ...] | Unknown:
    addresses = asked.about(pci.ADDRESSES)
    if isinstance(addresses, Unknown) or not addresses:
        return addresses if isinstance(addresses, Unknown) else ()
    return asked.about(pci.at(addresses))


def is_seen(vendor: Vendor, devices: Sequence[PciDevice], signs: presence.Presence) -> bool:
    """Whether the bus shows a device of this maker's; a node in /dev where no bus is shown, or the operating system."""
    if not _tools(vendor.probe.question) or (vendor.system and signs.system == vendor.system):
        return True
    if not devices:
        return any(name.startswith(vendor.nodes) for name in signs.nodes)
    return any(
        device.vendor_id in vendor.pci_vendor_ids
        and device.class_id.removeprefix("0x").startswith(vendor.pci_classes)
        and device.address not in vendor.integrated
        for device in devices
    )


def _tools(question: Question) -> tuple[AskTools, ...]:
    parts = question.questions if isinstance(question, AskAll) else (question,)
    return tuple(part for part in parts if isinstance(part, AskTools))


def _limits(asked: Asked) -> Limits | Unknown:
    groups = asked.about(limits.GROUPS)
    return groups if isinstance(groups, Unknown) else asked.about(limits.within(groups))


def _filesystems(asked: Asked) -> tuple[Filesystem, ...] | Unknown:
    mounts = asked.about(filesystem.MOUNTS)
    return mounts if isinstance(mounts, Unknown) else asked.about(filesystem.measured(mounts))


LINUX = Kind(host.FACT, cpu.FACT, memory.FACT, disk.FACT, network.FACT, _filesystems, _limits)


def _macos() -> Kind:
    """A Mac has no files for it: programs of its own are asked."""
    # Nobody else pays for them.
    from provisioner.facts import macos_cpu, macos_host, macos_memory, macos_network, macos_storage
    from provisioner.facts._macos import NO_GROUPS

    facts = (macos_host.FACT, macos_cpu.FACT, macos_memory.FACT, macos_storage.INTERNAL, macos_network.FACT)
    return Kind(
        *facts,
        filesystems=lambda asked: asked.about(macos_storage.FILESYSTEMS),
        limits=lambda _: NO_GROUPS,
        tools=(*(fact.question for fact in facts), macos_storage.FILESYSTEMS.question),
    )


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


def _software(asked: Asked) -> Software:
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
        case AskTools(commands):
            return ", ".join(dict.fromkeys(command.partition(" ")[0] for command in commands))
        case AskAll(questions):
            return ", ".join(_source(part) for part in questions)


def _folder(pattern: str) -> str:
    """The part of a pattern before its first star."""
    return pattern.partition("*")[0].rpartition("/")[0] if "*" in pattern else pattern
