"""The services of a plan: everything that whoever starts them has to know."""

from collections.abc import Iterator, Mapping

from provisioner.catalog import find
from provisioner.errors import BadInput
from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.mounts import holding
from provisioner.model.plan import Decision, Service
from provisioner.model.plugins import Engine, Place
from provisioner.model.record import replace
from provisioner.planning.amounts import MIB, size, up
from provisioner.planning.attempt import Attempt, Scene
from provisioner.planning.cores import cpu_list, numa_policy, thread_count
from provisioner.planning.fabric import numa_of, rendezvous
from provisioner.planning.images import Chosen, choose_image
from provisioner.planning.layouts import Layout
from provisioner.planning.settings import LAST_PORT, PORT
from provisioner.planning.stock import Subject

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


def services_of(attempt: Attempt, scene: Scene, place: Place) -> tuple[Service, ...]:
    """The services of an attempt that fits: one for each copy of the model, and for each node that a copy spans."""
    if attempt.served is None:
        return (_held(attempt, scene, place),)
    layout = attempt.served.layout
    ports_end(scene.wish.port + len(layout.copies) - 1)
    return tuple(_served(attempt, scene, place, layout))


def ports_end(last: int) -> None:
    """`BadInput` where the services, one port after the other, would need ports that do not exist."""
    if last > LAST_PORT:
        raise BadInput(
            f"the services have one port after the other, and would end on {last}; {LAST_PORT} is the last there is",
            fix=f"a lower port for the first: `--set port={PORT}`",
        )


def _held(attempt: Attempt, scene: Scene, place: Place) -> Service:
    """The one service of an engine that is started beside its weights."""
    cards = _used_cards(attempt, scene)
    service = _common(attempt, scene, place, NAME, 0)
    service = replace(service, devices=tuple(card.uuid for card in cards), options=options_of(attempt, scene))
    return _complete(service, attempt.engine, cards, scene, place)


def _served(attempt: Attempt, scene: Scene, place: Place, layout: Layout) -> Iterator[Service]:
    """Each copy of the model by itself; where one spans nodes, each node has its part, and the first takes the requests."""
    span = layout.degrees.nodes
    for team in range(layout.nodes // span):
        for place_in_team, copy in enumerate(layout.copies):
            number = team * len(layout.copies) + place_in_team
            devices = tuple(device for stage in copy for device in stage)
            for rank in range(span):
                name = NAME + (f"-{number}" if layout.replicas > 1 else "") + (f"-node{rank}" if span > 1 else "")
                service = _common(attempt, scene, place, name, place_in_team)
                service = replace(service, node=team * span + rank)
                yield _on_devices(service, attempt, scene, place, devices, rank)


def _on_devices(
    service: Service, attempt: Attempt, scene: Scene, place: Place, devices: tuple[str, ...], rank: int
) -> Service:
    cards = tuple(_card(scene.facts, name) for name in devices)
    served = attempt.served
    nodes = served.load.degrees.nodes if served else 1
    ranks = {"nnodes": str(nodes), "node-rank": str(rank)} if nodes > 1 else {}
    alone = {"headless": "true"} if rank and "headless" in attempt.engine.options else {}
    options = {**(served.options if served else {}), **ranks, **alone, **scene.wish.options}
    nodes_of_memory, cpus = _beside(cards, scene.facts)
    service = replace(
        service,
        devices=tuple(card.uuid for card in cards),
        options=options,
        image=image_of(attempt, scene).name,
        numa_nodes=nodes_of_memory,
        cpus=scene.wish.cpus or cpus or service.cpus,
        env=_meeting(scene.facts) if nodes > 1 else {},
    )
    return _complete(service, attempt.engine, cards, scene, place)


def _beside(cards: tuple[Accelerator, ...], facts: HostFacts) -> tuple[str | None, str | None]:
    """NUMA nodes and processors beside all of these cards; none where one of them has no node to bind to."""
    found = numa_of(cards, facts.numa)
    if any(one.node is None or one.cpus is None for one in found):
        return None, None
    nodes = to_list(frozenset(one.node for one in found if one.node is not None))
    cpus = frozenset(cpu for one in found for cpu in from_list(one.cpus or ""))
    return nodes, to_list(cpus)


def _meeting(facts: HostFacts) -> Mapping[str, str]:
    """The interface on which nodes find each other, and on which their ranks exchange what they compute."""
    interface = rendezvous(facts.network, facts.rdma).interface
    return {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface} if interface else {}


def image_of(attempt: Attempt, scene: Scene) -> Chosen:
    """What the operator named, else the maker's; none for an engine that starts without."""
    served = attempt.served
    if scene.wish.image:
        return Chosen(scene.wish.image, Decision("image", scene.wish.image, "asked for"))
    if served is None:
        return Chosen(None, Decision("image", "none", "started beside its weights"))
    entry = scene.catalog.engine(attempt.engine.name)
    return choose_image(entry, served.load.card.vendor, served.load.version, scene.facts)


def _common(attempt: Attempt, scene: Scene, place: Place, name: str, number: int) -> Service:
    """What every service has, whatever starts it."""
    subject, wish, engine = attempt.subject, scene.wish, attempt.engine
    if subject is None or attempt.fit is None:
        raise ValueError("a service is made of an attempt that fits")
    return Service(
        name=name,
        engine=engine.name,
        argv=(),
        env={},
        host=wish.host,
        port=wish.port + number,
        model_name=subject.id,
        model_path=model_path(subject, place),
        context=attempt.rung.context,
        slots=attempt.slots,
        cpus=wish.cpus or cpu_list(scene.facts),
        numa_nodes=None,
        memory_max_bytes=wish.numbers.get("memory_max_bytes", memory_limit(attempt)),
        key_file=f"{place.state}/secrets/{NAME}.key",
        health_path=engine.health_path,
        ready_seconds=wish.numbers.get("ready_seconds", ready_seconds(subject.weights_bytes, scene.facts, place)),
        first_token_seconds=wish.numbers.get("first_token_seconds", first_token_seconds(attempt)),
        open_files=wish.numbers.get("open_files", 1024),
    )


def _complete(service: Service, engine: Engine, cards: tuple[Accelerator, ...], scene: Scene, place: Place) -> Service:
    """With its command line and its environment."""
    program = engine.program or (place.python, "-I", "-m", f"provisioner.world.{engine.name}")
    environment = {**engine.environment(service), **service.env, **_visible(scene.facts, cards)}
    return replace(service, argv=(*program, *engine.command(service)), env=environment)


def _used_cards(attempt: Attempt, scene: Scene) -> tuple[Accelerator, ...]:
    """The devices of a split that get any layers."""
    split = attempt.fit.split if attempt.fit else ()
    devices = (attempt.ground or scene.ground).devices
    return tuple(card for (card, _), layers in zip(devices, split, strict=False) if layers)


def _card(facts: HostFacts, name: str) -> Accelerator:
    vendor, _, index = name.partition(":")
    found = facts.accelerators.get(vendor, ())
    cards = () if isinstance(found, Unknown) else found
    return next(card for card in cards if str(card.index) == index)


def _visible(facts: HostFacts, cards: tuple[Accelerator, ...]) -> Mapping[str, str]:
    """A card is named by its UUID, so that no reordering moves the service to another; one that is not planned is hidden."""
    if cards and cards[0].vendor != "nvidia":
        vendor = find("provisioner.accelerators", "VENDOR", cards[0].vendor)
        return {getattr(vendor, "visible_devices", ""): ",".join(str(card.index) for card in cards)}
    known = facts.accelerators.get("nvidia", ())
    if not cards and (isinstance(known, Unknown) or not known):
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(card.uuid for card in cards) or "-1"}


def options_of(attempt: Attempt, scene: Scene) -> dict[str, str]:
    """Values of the engine's flags; what the operator set by name wins."""
    if attempt.engine.experts_on_host:
        return {**_for_experts(scene), **scene.wish.options}
    fitting, wish, facts = attempt.fit, scene.wish, scene.facts
    layers = fitting.device_layers if fitting is not None else 0
    threads, _ = thread_count(facts, wish.threads)
    if attempt.rung.placement == "device" and wish.threads is None:
        threads = min(threads, DEVICE_THREADS)
    policy, _ = numa_policy(facts)
    planned = {"threads": str(threads), "threads-batch": str(threads), "n-gpu-layers": str(layers)}
    spread = used_split(fitting.split) if fitting is not None else ()
    if len(spread) > 1:
        planned["tensor-split"] = ",".join(map(str, spread))
    return {**planned, **({"numa": policy} if policy else {}), **wish.options}


def _for_experts(scene: Scene) -> dict[str, str]:
    """A pool of threads for each NUMA node, and all physical cores; GGUF files are read by the method that all processors have."""
    threads, _ = thread_count(scene.facts, scene.wish.threads)
    nodes = () if isinstance(scene.facts.numa, Unknown) else [one for one in scene.facts.numa if one.memory_bytes]
    pools = str(max(1, len(nodes)))
    return {
        "threads": str(threads),
        "kt-method": "LLAMAFILE",
        "kt-cpuinfer": str(threads),
        "kt-threadpool-count": pools,
    }


def used_split(split: tuple[int, ...]) -> tuple[int, ...]:
    """Layers on the devices that get some."""
    return tuple(count for count in split if count)


def model_path(subject: Subject, place: Place) -> str:
    """Where the weights lie for the engine: a folder of their own for each model, so that shards keep their names."""
    first = subject.files[0]
    if subject.format != "gguf":
        return f"{place.state}/models/{subject.id}-{subject.precision}"
    folder = first.sha256[:16] if first.sha256 else "to-be-taken-in"
    return f"{place.state}/models/{folder}/{first.name}"


def memory_limit(attempt: Attempt) -> int:
    """What the host gives at most: the need and a fifth, so that a leak ends the service and not the machine."""
    host = sum(
        budget.weights_bytes + budget.kv_cache_bytes + budget.activation_bytes + budget.overhead_bytes
        for budget in (attempt.fit.budgets if attempt.fit else ())
        if budget.device == "host"
    )
    # By the arithmetic alone: within that limit it was measured, and another limit would start it anew.
    host -= sum(part.bytes - part.planned_bytes for part in attempt.reckoned if part.device == "host")
    return up(host + host // 5 + 256 * MIB, MIB)


def ready_seconds(weights_bytes: int, facts: HostFacts, place: Place) -> int:
    """Start, and one reading of all weights from the disk that they lie on."""
    rate = DISK_RATES.get(disk_class(facts, place.state), SLOWEST)
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


def _near(service: Service, attempt: Attempt, scene: Scene) -> tuple[Decision, ...]:
    """Where the service's processors and its meeting place are, beside its devices."""
    layout = attempt.served.layout if attempt.served else None
    if layout is None:
        return ()
    devices = tuple(device for stage in layout.copies[0] for device in stage)
    why = dict.fromkeys(
        one.because for one in numa_of(tuple(_card(scene.facts, name) for name in devices), scene.facts.numa)
    )
    numa = Decision(
        "NUMA", f"nodes {service.numa_nodes}" if service.numa_nodes else "left to the kernel", "; ".join(why)
    )
    if layout.degrees.nodes == 1:
        return (numa,)
    meeting = rendezvous(scene.facts.network, scene.facts.rdma)
    return numa, Decision("nodes meet on", meeting.interface or "not known", meeting.because)


def decisions_of(service: Service, attempt: Attempt, scene: Scene) -> tuple[Decision, ...]:
    """Why the service is started the way it is."""
    address = Decision(
        "address", f"http://{service.host}:{service.port}", "loopback: nobody outside reaches the engine"
    )
    if attempt.served is not None:
        return (*attempt.served.decisions, image_of(attempt, scene).decision, *_near(service, attempt, scene), address)
    threads, because = thread_count(scene.facts, scene.wish.threads)
    if int(service.options["threads"]) != threads:
        because = f"all layers are on the device; {threads} would be there"
    policy, reason = numa_policy(scene.facts)
    return (
        Decision("threads", service.options["threads"], because),
        Decision("NUMA", service.options.get("numa", policy or "left to the kernel"), reason),
        Decision(
            "memory limit", size(service.memory_max_bytes or 0), "the need on the host, a fifth of it and 256 MiB"
        ),
        address,
    )
