"""Several models dealt out over the places of a machine."""

from collections.abc import Iterator, Sequence

from provisioner.model.record import dataclass, replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.settings import wish_of
from provisioner.planning.several.packing import Device, Packed, pack
from provisioner.planning.several.ways import Ways, on_host, places_of, ways_of
from provisioner.planning.tries.attempt import Scene


@dataclass(frozen=True, slots=True)
class Table:
    """Who wants a place, what places there are, and how they were dealt out."""

    spec: Spec
    scene: Scene
    ways: tuple[Ways, ...]
    devices: tuple[Device, ...]
    packed: Packed
    host: bool
    """Whether the host's memory is what is shared."""

    @property
    def names(self) -> tuple[str, ...]:
        """What each of those who want a place was asked for by: copies of a model by the same name."""
        return tuple(one.model or one.name for one in self.ways)

    @property
    def first_port(self) -> int:
        return self.scene.wish.port


def deal(spec: Spec, scene: Scene) -> Table:
    """The best way to place all of them, or as many as there is room for."""
    scene = replace(scene, wish=wish_of(replace(spec, models=())))
    ways = tuple(_copies([ways_of(name, scene) for name in spec.models], scene.wish.replicas or 1))
    devices = places_of(scene)
    return Table(spec, scene, ways, devices, pack([one.item for one in ways], devices), on_host(scene))


def _copies(ways: Sequence[Ways], count: int) -> Iterator[Ways]:
    """Each as often as it is wanted, next to each other."""
    for one in ways:
        yield from (
            replace(one, name=f"{one.name}, copy {number}", model=one.name) if count > 1 else one
            for number in range(1, count + 1)
        )
