"""Cards of several kinds in one machine: which engines join them for one copy of a model, and which do not."""

from provisioner.model.facts import Accelerator, Unknown
from provisioner.model.plan import Rejected
from provisioner.planning.asked.settings import engine_named
from provisioner.planning.machine.grouping import alike
from provisioner.planning.tries.attempt import Attempt, Scene

WHY = (
    "each rank holds an equal share and waits for the slowest, and release, kernels and number format go by the kind of card: "
    "one copy is cut over cards of one kind; llama.cpp gives each card what it can hold"
)


def not_joined(scene: Scene, attempt: Attempt) -> tuple[Rejected, ...]:
    """For a model that no kind of card holds alone and all kinds would together: why engines of equal ranks do not do it."""
    parts = alike(scene.ground.cards)
    if len(parts) < 2 or attempt.subject is None:
        return ()
    weights, each = attempt.subject.weights_bytes, tuple(map(_bytes, parts))
    titles = [engine.title for engine in map(engine_named, attempt.profile.engines)
              if engine.usage is not None and all(cards[0].vendor in engine.vendors for cards in parts)]  # fmt: skip
    if not titles or not max(each) < weights <= sum(each):
        return ()
    names = " and ".join(dict.fromkeys(card.name for card in scene.ground.cards))
    return (Rejected(f"{' or '.join(titles)} over {names} together", WHY),)


def _bytes(cards: tuple[Accelerator, ...]) -> int:
    return sum(card.memory_bytes for card in cards if not isinstance(card.memory_bytes, Unknown))
