"""The services of a plan: everything that whoever starts them has to know."""

from collections.abc import Iterator, Mapping
from hashlib import sha256

from provisioner.catalog import find
from provisioner.errors import BadInput
from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.plan import Decision, Service
from provisioner.model.plugins import Engine, Place, Vendor
from provisioner.model.record import replace
from provisioner.planning.asked.addresses import LAST_PORT, PORT
from provisioner.planning.asked.amounts import MIB, size, up
from provisioner.planning.machine.cores import cpu_list
from provisioner.planning.machine.fabric import numa_of
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.serving.contained import AT_HOME, SHARED_BYTES, grant_of, held_image, inside, is_contained
from provisioner.planning.serving.options import decisions_of_threads, options_of
from provisioner.planning.serving.patience import first_token_seconds, ready_seconds
from provisioner.planning.serving.ranks import first_node, meeting, meeting_decisions, numa_decision, numa_options
from provisioner.planning.sources.images import Chosen, choose_image
from provisioner.planning.sources.stock import Subject
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.engines import HOST

NAME = "llm"


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
    files = attempt.subject.files if attempt.subject else ()
    service = _with_others(service, attempt, scene)
    service = replace(
        service,
        devices=tuple(card.uuid for card in cards),
        options={**options_of(attempt, scene), **service.options},
        image=image_of(attempt, scene).name if is_contained(scene.wish, attempt.engine) else None,
        model_sha256=(files[0].sha256 or "") if len(files) == 1 else "",
        home=attempt.engine.home,
    )
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
    from provisioner.planning.serving import dialects  # Only engines that take a model's own files ask for it.

    cards = _cards(scene.facts, devices)
    served = attempt.served
    nodes = served.load.degrees.nodes if served else 1
    ranks = {
        "nnodes": str(nodes),
        "node-rank": str(rank),
        **first_node(attempt.engine, scene.facts, service.node - rank),
    }
    ranks = ranks if nodes > 1 else {}
    near = numa_options(attempt, cards, scene)
    alone = {"headless": "true"} if rank and "headless" in attempt.engine.options else {}
    spoken = dialects.options_of(attempt, scene)
    service = _with_others(service, attempt, scene)
    own = {**service.options, **(served.options if served else {})}
    options = {**own, **near, **ranks, **alone, **spoken, **scene.wish.options}
    nodes_of_memory, cpus = _beside(cards, scene.facts)
    service = replace(
        service,
        devices=tuple(str(card.index) if service.node else card.uuid for card in cards),
        options=options,
        image=image_of(attempt, scene).name,
        numa_nodes=nodes_of_memory,
        cpus=scene.wish.cpus or cpus or service.cpus,
        env={**(served.env if served else {}), **(meeting(scene.facts, _maker(cards[0])) if nodes > 1 else {})},
        shared_memory_bytes=SHARED_BYTES if is_contained(scene.wish, attempt.engine) else None,
    )
    return _complete(service, attempt.engine, cards, scene, place)


def _with_others(service: Service, attempt: Attempt, scene: Scene) -> Service:
    """With its adapters, named to the engine and known by their names, and with what drafts for it; few have any."""
    if scene.wish.drafting:
        from provisioner.planning.tries import speculation

        service = replace(service, options=speculation.options_of(attempt, scene, service.model_path))
    if not scene.wish.adapters:
        return service
    from provisioner.planning.tries import adapters

    options, names = adapters.options_of(attempt, scene, service.model_path), tuple(scene.wish.adapters)
    service = replace(service, options={**service.options, **options})
    # One that is laid over the whole model takes its place.
    return replace(service, model_name=names[0]) if attempt.served is None else replace(service, adapters=names)


def _beside(cards: tuple[Accelerator, ...], facts: HostFacts) -> tuple[str | None, str | None]:
    """NUMA nodes and processors beside all of these cards, as far as we ourselves may use them; none where there are none."""
    found = numa_of(cards, facts.numa)
    cpus = frozenset(cpu for one in found for cpu in from_list(one.cpus or ""))
    if not isinstance(facts.cpu, Unknown) and facts.cpu.usable:
        cpus &= from_list(facts.cpu.usable)
    if not cpus or any(one.node is None or one.cpus is None for one in found):
        return None, None
    return to_list(frozenset(one.node for one in found if one.node is not None)), to_list(cpus)


def image_of(attempt: Attempt, scene: Scene) -> Chosen:
    """What the operator named, else the maker's; none for an engine that starts without."""
    served = attempt.served
    if scene.wish.image:
        return Chosen(scene.wish.image, Decision("image", scene.wish.image, "asked for"))
    if served is None and is_contained(scene.wish, attempt.engine):
        return held_image(attempt.engine, _used_cards(attempt, scene), scene.wish, scene.catalog)
    if served is None:
        return Chosen(None, Decision("image", "none", "started beside its weights"))
    entry = scene.catalog.engine(attempt.engine.name)
    return choose_image(entry, served.load.card, served.load.version, scene.facts)


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
        health_path=engine.health_path.replace("{model}", subject.id),
        ready_seconds=wish.numbers.get(
            "ready_seconds", ready_seconds(engine, subject.weights_bytes, scene.facts, place)
        ),
        first_token_seconds=wish.numbers.get("first_token_seconds", first_token_seconds(attempt)),
        open_files=wish.numbers.get("open_files", 1024),
    )


def _complete(service: Service, engine: Engine, cards: tuple[Accelerator, ...], scene: Scene, place: Place) -> Service:
    """With its command line and its environment."""
    contained = is_contained(scene.wish, engine)
    if contained:
        program, seen = engine.image_program or engine.program, inside(service)
    else:
        program, seen = engine.program or (place.python, "-I", "-m", f"provisioner.world.{engine.name}"), service
    environment = {
        **(AT_HOME if contained else {}), **engine.environment(seen), **service.env,
        **_visible(scene.facts, cards, service.devices),
    }  # fmt: skip
    grant = grant_of(cards, scene.facts) if contained else None
    return replace(service, argv=(*program, *engine.command(seen)), env=environment, grant=grant)


def _used_cards(attempt: Attempt, scene: Scene) -> tuple[Accelerator, ...]:
    """The devices of a split that get any layers."""
    split = attempt.fit.split if attempt.fit else ()
    devices = (attempt.ground or scene.ground).devices
    return tuple(card for (card, _), layers in zip(devices, split, strict=False) if layers)


def _cards(facts: HostFacts, names: tuple[str, ...]) -> tuple[Accelerator, ...]:
    return tuple(_card(facts, name) for name in names if name != HOST)


def _card(facts: HostFacts, name: str) -> Accelerator:
    vendor, _, index = name.partition(":")
    found = facts.accelerators.get(vendor, ())
    cards = () if isinstance(found, Unknown) else found
    return next(card for card in cards if str(card.index) == index)


def _visible(facts: HostFacts, cards: tuple[Accelerator, ...], names: tuple[str, ...]) -> Mapping[str, str]:
    """A card is named by its UUID, so that no reordering moves the service to another; one that is not planned is hidden.

    On further nodes, whose UUIDs nobody has read, cards have numbers in the order of the bus.
    """
    if cards and cards[0].vendor != "nvidia":
        variable = _maker(cards[0]).visible_devices
        return {variable: ",".join(str(card.index) for card in cards)} if variable else {}
    known = facts.accelerators.get("nvidia", ())
    if not cards and (isinstance(known, Unknown) or not known):
        return {}
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(names) or "-1"}


def _maker(card: Accelerator) -> Vendor:
    found = find("provisioner.accelerators", "VENDOR", card.vendor)
    if not isinstance(found, Vendor):
        raise TypeError(f"{card.vendor} is no maker")
    return found


def model_path(subject: Subject, place: Place) -> str:
    """Where the weights lie for the engine: a folder of their own for each model, so that shards keep their names."""
    first = subject.files[0]
    if subject.format != "gguf":
        return f"{place.state}/models/{subject.id}-{subject.precision}-{_mark(subject)}"
    folder = first.sha256[:16] if first.sha256 else "to-be-taken-in"
    return f"{place.state}/models/{folder}/{first.name}"


def _mark(subject: Subject) -> str:
    """Two checkpoints of one name, of two owners or out of two folders, are not the same files."""
    files = sorted((file.name, file.size_bytes, file.sha256 or file.origin) for file in subject.files)
    return sha256(repr(files).encode()).hexdigest()[:12]


def memory_limit(attempt: Attempt) -> int:
    """What the host gives at most: the need and a fifth, so that a leak ends the service and not the machine.

    Copies share the need, and what there is to plan with: all of them together are not given more than that.
    """
    budgets = [budget for budget in (attempt.fit.budgets if attempt.fit else ()) if budget.device == "host"]
    host = sum(
        budget.weights_bytes + budget.kv_cache_bytes + budget.activation_bytes + budget.overhead_bytes
        for budget in budgets
    )
    # By the arithmetic alone: within that limit it was measured, and another limit would start it anew.
    host -= sum(part.bytes - part.planned_bytes for part in attempt.reckoned if part.device == "host")
    copies = len(attempt.served.layout.copies) if attempt.served else 1
    each = -(-host // copies)
    limit = up(each + each // 5 + 256 * MIB, MIB)
    if not attempt.engine.program or not budgets:
        return limit
    return min(limit, sum(budget.budget_bytes for budget in budgets) // copies // MIB * MIB)


def _near(service: Service, attempt: Attempt, scene: Scene) -> Iterator[Decision]:
    """Where the service's processors and its meeting place are, beside its devices."""
    layout = attempt.served.layout if attempt.served else None
    if layout is None:
        return
    devices = tuple(device for stage in layout.copies[0] for device in stage)
    if devices != (HOST,):
        yield numa_decision(service, _cards(scene.facts, devices), scene.facts)
    if layout.degrees.nodes > 1:
        yield from meeting_decisions(service, attempt.engine, scene)


def decisions_of(service: Service, attempt: Attempt, scene: Scene) -> tuple[Decision, ...]:
    """Why the service is started the way it is."""
    host = f"[{service.host}]" if ":" in service.host else service.host
    address = Decision("address", f"http://{host}:{service.port}", "loopback: nobody outside reaches the engine")
    if attempt.served is not None:
        from provisioner.planning.serving import dialects

        read = dialects.decisions_of(service.options, attempt, scene)
        image = image_of(attempt, scene).decision
        return (
            *attempt.served.decisions,
            *_of_others(attempt, scene),
            *read,
            image,
            *_near(service, attempt, scene),
            address,
        )
    limit = "the need on the host, a fifth of it and 256 MiB"
    if attempt.engine.program:
        limit += ", at most what there is to plan with"
    memory = Decision("memory limit", size(service.memory_max_bytes or 0), limit)
    held = (image_of(attempt, scene).decision,) if is_contained(scene.wish, attempt.engine) else ()
    return (*decisions_of_threads(service, scene), *_of_others(attempt, scene), memory, *held, address)


def _of_others(attempt: Attempt, scene: Scene) -> Iterator[Decision]:
    if scene.wish.adapters:
        from provisioner.planning.tries import adapters

        yield from adapters.decisions_of(attempt, scene)
    if scene.wish.drafting:
        from provisioner.planning.tries import speculation

        yield from speculation.decisions_of(attempt, scene)
