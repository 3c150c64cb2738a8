"""The one service of a plan: everything that whoever starts it has to know."""

from collections.abc import Mapping

from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.mounts import holding
from provisioner.model.plan import Decision, Service, WeightFile
from provisioner.model.plugins import Engine, Place
from provisioner.model.record import dataclass, replace
from provisioner.planning.amounts import MIB, size, up
from provisioner.planning.choose import Attempt
from provisioner.planning.cores import cpu_list, numa_policy, thread_count
from provisioner.planning.settings import Wish

NAME = "llm"

DISK_RATES = {"nvme": 1_000_000_000, "ssd": 300_000_000}
"""Bytes per second at which weights are surely read, by the disk's declared speed class: the slow end of each."""
SLOWEST = 100_000_000
"""Every other class: turning disks, flash cards, network storage, disks of virtual machines, and what is unknown."""

START_SECONDS = 30
"""An engine without weights is there in two or three seconds; machines under load take longer."""

FIRST_TOKEN_SECONDS = 30
PROBE_TOKENS = 64
"""The check's own question is shorter than this; it is worked through at the speed of single tokens at worst."""

DEVICE_THREADS = 8
"""With all layers on a device the host only feeds it; more threads wait for each other."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the service stands in."""

    facts: HostFacts
    place: Place
    accelerator: Accelerator | None


def service_of(attempt: Attempt, wish: Wish, engine: Engine, around: Surroundings) -> Service:
    """The service of an attempt that fits."""
    subject, fitting = attempt.subject, attempt.fit
    if subject is None or fitting is None:
        raise ValueError("a service is made of an attempt that fits")
    place = around.place
    service = Service(
        name=NAME,
        engine=engine.name,
        argv=(),
        env={},
        host=wish.host,
        port=wish.port,
        model_name=subject.id,
        model_path=model_path(subject.files, place),
        context=attempt.rung.context,
        slots=attempt.slots,
        cpus=wish.cpus or cpu_list(around.facts),
        numa_nodes=None,
        memory_max_bytes=wish.numbers.get("memory_max_bytes", memory_limit(attempt)),
        key_file=f"{place.state}/secrets/{NAME}.key",
        health_path=engine.health_path,
        ready_seconds=wish.numbers.get("ready_seconds", ready_seconds(subject.weights_bytes, around)),
        first_token_seconds=wish.numbers.get("first_token_seconds", first_token_seconds(attempt)),
        open_files=wish.numbers.get("open_files", 1024),
        devices=(around.accelerator.uuid,) if around.accelerator and fitting.device_layers else (),
        options=options_of(attempt, wish, around.facts),
    )
    argv = (place.python, "-I", "-m", f"provisioner.world.{engine.name}", *engine.command(service))
    return replace(service, argv=argv, env={**engine.environment(service), **_visible(around, service)})


def _visible(around: Surroundings, service: Service) -> Mapping[str, str]:
    """A card is named by its UUID, so that no reordering moves the service to another; one that is not planned is hidden."""
    cards = around.facts.accelerators.get("nvidia", ())
    if not service.devices and (isinstance(cards, Unknown) or not cards):
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(service.devices) or "-1"}


def options_of(attempt: Attempt, wish: Wish, facts: HostFacts) -> dict[str, str]:
    """Values of the engine's flags; what the operator set by name wins."""
    fitting = attempt.fit
    layers = fitting.device_layers if fitting is not None else 0
    threads, _ = thread_count(facts, wish.threads)
    if attempt.rung.placement == "device" and wish.threads is None:
        threads = min(threads, DEVICE_THREADS)
    policy, _ = numa_policy(facts)
    planned = {"threads": str(threads), "threads-batch": str(threads), "n-gpu-layers": str(layers)}
    return {**planned, **({"numa": policy} if policy else {}), **wish.options}


def model_path(files: tuple[WeightFile, ...], place: Place) -> str:
    """Where the first file lies for the engine: a folder of its own for each model, so that shards keep their names."""
    first = files[0]
    folder = first.sha256[:16] if first.sha256 else "to-be-taken-in"
    return f"{place.state}/models/{folder}/{first.name}"


def memory_limit(attempt: Attempt) -> int:
    """What the host gives at most: the need and a fifth, so that a leak ends the service and not the machine."""
    host = sum(
        budget.weights_bytes + budget.kv_cache_bytes + budget.activation_bytes + budget.overhead_bytes
        for budget in (attempt.fit.budgets if attempt.fit else ())
        if budget.device == "host"
    )
    return up(host + host // 5 + 256 * MIB, MIB)


def ready_seconds(weights_bytes: int, around: Surroundings) -> int:
    """Start, and one reading of all weights from the disk that they lie on."""
    rate = DISK_RATES.get(disk_class(around.facts, around.place.state), SLOWEST)
    return START_SECONDS + -(-weights_bytes // rate)


def disk_class(facts: HostFacts, path: str) -> str:
    """The speed class of the disk under a path, or `unknown`."""
    if isinstance(facts.filesystems, Unknown) or isinstance(facts.disks, Unknown):
        return "unknown"
    mount = holding(facts.filesystems, path)
    device = mount.device.rsplit("/", 1)[-1] if mount else ""
    found = [disk for disk in facts.disks if device.startswith(disk.name)]
    return max(found, key=lambda disk: len(disk.name)).speed_class if found else "unknown"


def first_token_seconds(attempt: Attempt) -> int:
    if attempt.speed is None:
        return 2 * FIRST_TOKEN_SECONDS
    return FIRST_TOKEN_SECONDS + int(PROBE_TOKENS / max(0.1, attempt.speed.tokens_per_second))


def decisions_of(service: Service, wish: Wish, facts: HostFacts) -> tuple[Decision, ...]:
    """Why the service is started the way it is."""
    threads, because = thread_count(facts, wish.threads)
    if int(service.options["threads"]) != threads:
        because = f"all layers are on the device; {threads} would be there"
    policy, reason = numa_policy(facts)
    return (
        Decision("threads", service.options["threads"], because),
        Decision("NUMA", service.options.get("numa", policy or "left to the kernel"), reason),
        Decision(
            "memory limit", size(service.memory_max_bytes or 0), "the need on the host, a fifth of it and 256 MiB"
        ),
        Decision("address", f"http://{service.host}:{service.port}", "loopback: nobody outside reaches the engine"),
    )
