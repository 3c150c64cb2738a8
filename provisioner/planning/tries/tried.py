"""What one try on devices is about whatever the layout, and what a rank of it has to hold."""

from typing import cast

from provisioner.model.load import Card, Degrees, Load
from provisioner.model.plugins import Engine
from provisioner.model.record import dataclass, replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.memory import sharding
from provisioner.planning.memory.pool import bytes_per_token, has_law
from provisioner.planning.sources.stock import Subject
from provisioner.planning.tries import flags
from provisioner.planning.tries.attempt import Scene
from provisioner.planning.tries.flags import Dials


@dataclass(frozen=True, slots=True)
class Asked:
    """What one try is about, whatever the layout."""

    scene: Scene
    profile: Profile
    rung: Rung
    engine: Engine
    subject: Subject
    slots: int


def weights_of(asked: Asked, degrees: Degrees) -> tuple[int, ...]:
    """Of a rank of each stage."""
    subject, kept = asked.subject, asked.scene.lasting
    key = ("weights", flags.mark(asked.scene, subject), degrees)
    if key not in kept:
        kept[key] = sharding.stage_bytes(subject.geometry, subject.weights_bytes, subject.precision, degrees)
    return cast("tuple[int, ...]", kept[key])


def load_of(asked: Asked, degrees: Degrees, card: Card, dials: Dials, stage: int) -> Load:
    """One rank of this stage."""
    subject = asked.subject
    weights = weights_of(asked, degrees)[stage]
    beside = min(weights, dials.offloaded_bytes)
    load = Load(
        geometry=subject.geometry,
        precision=dials.precision,
        degrees=degrees,
        card=card,
        weights_bytes=weights - beside,
        kv_bytes_per_token=0,
        context=asked.rung.context,
        sequences=dials.sequences,
        batched_tokens=dials.batched_tokens,
        version=dials.version,
        eager=dials.eager,
        utilization=dials.utilization,
        stage=stage,
        cache_type=dials.cache_type,
        group=subject.group,
        largest_graph=dials.largest_graph,
        cache_bytes=dials.cache_bytes,
        offloaded_bytes=beside,
        constants=dials.constants,
    )
    load = beside_weights(load, asked.scene, asked.engine, subject)
    return replace(load, kv_bytes_per_token=bytes_per_token(load))


def with_others(subject: Subject | str, scene: Scene, engine: Engine) -> Subject | str:
    """With the files of adapters, and of a model that drafts for it; few have any."""
    if scene.wish.adapters:
        from provisioner.planning.tries.adapters import with_adapters

        subject = with_adapters(subject, scene, engine)
    if scene.wish.drafting:
        from provisioner.planning.tries.speculation import drafted

        subject = drafted(subject, scene)
    return subject


def beside_weights(load: Load, scene: Scene, engine: Engine, subject: Subject) -> Load:
    """With the room for adapters on each rank, and with what drafts: its weights, and its layers of cache."""
    if scene.wish.adapters:
        from provisioner.planning.tries.adapters import rank_bytes

        load = replace(
            load, weights_bytes=load.weights_bytes + rank_bytes(scene, engine, subject.geometry, load.degrees)
        )
    if scene.wish.drafting:
        from provisioner.planning.tries.speculation import beside

        load = beside(load, subject, scene)
    return load


def over(asked: Asked, degrees: Degrees, card: Card, dials: Dials) -> int:
    """Bytes of weights on a rank beyond all that its card has."""
    return max(weights_of(asked, degrees)) - dials.offloaded_bytes - card.total_bytes


def has_room(asked: Asked, layout: Layout, card: Card, dials: Dials) -> bool:
    """Whether what is free holds weights and all requests on each stage, if the engine took nothing else: else no dial helps."""
    if dials.cache_bytes is not None:
        return True
    load = load_of(asked, layout.degrees, card, dials, 0)
    if not has_law(load):
        return True
    wanted = -(-asked.slots // layout.replicas) * asked.rung.context
    return all(
        max(0, weights - dials.offloaded_bytes) + wanted * bytes_per_token(load, stage) <= card.free_bytes
        for stage, weights in enumerate(weights_of(asked, layout.degrees))
    )
