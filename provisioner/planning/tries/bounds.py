"""What a step is short of at least, known before anything is laid out."""

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.plugins import Engine
from provisioner.model.spec import Profile, Rung
from provisioner.planning.memory.checkpoints import checkpoint_of
from provisioner.planning.sources.stock import is_path, published
from provisioner.planning.tries.attempt import Scene
from provisioner.planning.tries.engines import makers

LEFT_OUT = 1.1
"""How much larger the files may be than what an engine loads of them: layers that only draft are left out by some."""


def least_missing(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> float:
    """Bytes that some device is short of at least, as all of them together hold less than the weights; 0 where that is not known."""
    wish = scene.wish
    if rung.placement != "device" or is_path(profile.model) or wish.options or wish.gguf or scene.shelf.folders:
        return 0
    room, devices = _room(scene.facts)
    weights = _weights(scene, profile, rung, engine) / LEFT_OUT
    return max(0.0, weights - room) / devices if devices else 0


def _room(facts: HostFacts) -> tuple[int, int]:
    """Bytes and devices of all nodes; no devices where nobody knows how much one of them has."""
    found = [cards for cards in facts.accelerators.values() if not isinstance(cards, Unknown)]
    sizes = [card.memory_bytes for cards in found for card in cards]
    known = [size for size in sizes if not isinstance(size, Unknown)]
    if len(found) < len(facts.accelerators) or len(known) < len(sizes):
        return 0, 0
    return sum(known) * facts.nodes, len(known) * facts.nodes


def _weights(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> int:
    """The smallest files of this precision that the engine may load; 0 where there are none."""
    entry = scene.catalog.model(profile.model)
    gguf = entry.offer(rung.precision) if "gguf" in engine.formats else None
    theirs = makers(scene, engine)
    sharded = published(entry, rung.precision, theirs) or checkpoint_of(entry, rung.precision, theirs)
    held = sharded if "safetensors" in engine.formats else None
    return min((one.bytes for one in (gguf, held) if one), default=0)
