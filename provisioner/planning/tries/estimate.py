"""What a plan that fits will be like to use: requests, people and speeds, estimated for the very layout that was chosen."""

from provisioner.model.catalog import CHAT
from provisioner.model.plan import Capacity
from provisioner.planning.asked.devices import entry_of, link_of
from provisioner.planning.machine.islands import FABRIC, farthest
from provisioner.planning.speed.bandwidth import Speed
from provisioner.planning.speed.capacity import Estimate, concurrent, users
from provisioner.planning.speed.expected import expect
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.engines import task_of


def of_served(scene: Scene, attempt: Attempt) -> Estimate | str:
    """For an engine that fills its share of each device with cache; the reason where nothing can be said."""
    served, subject = attempt.served, attempt.subject
    if served is None or subject is None:
        return "nothing was chosen"
    if task_of(scene, attempt.profile) != CHAT:
        return "it gives no answers token by token"
    if served.load.offloaded_bytes:
        return "weights in host memory cross the bus for each token, and nobody measured how fast"
    entry = entry_of(scene.catalog, served.layout.card)
    if entry is None:
        return f"{served.layout.card.name} is not in the catalog"
    return expect(
        scene.catalog.speed_rows(),
        entry,
        attempt.engine.name,
        served.load,
        subject.weights_bytes,
        served.pool.tokens,
        _link(scene, attempt),
        served.layout.replicas,
        ratio=scene.wish.users_per_request,
    )


def _link(scene: Scene, attempt: Attempt) -> str:
    """Between the ranks of one tensor group: the slowest way counts."""
    layout = attempt.served.layout if attempt.served else None
    if layout is None or layout.degrees.tensor * layout.degrees.data == 1:
        return "none"
    group = set(layout.copies[0][0])
    cards = [card for card in scene.ground.cards if f"{card.vendor}:{card.index}" in group]
    if layout.degrees.tensor > len(group):
        return "network"
    return "nvlink" if farthest(cards, link_of(scene.catalog, scene.facts)) == FABRIC else "pcie"


def speed_of(found: Estimate | str) -> Speed | None:
    return None if isinstance(found, str) else Speed(found.alone_tokens_per_second.usual, found.basis)


def capacity_of(scene: Scene, attempt: Attempt) -> Capacity | None:
    """As the plan tells it."""
    ratio = scene.wish.users_per_request
    rate = attempt.speed
    if attempt.problem:
        return None
    if attempt.served is not None and attempt.rung.placement != "host":
        return _served(scene, attempt)
    if attempt.need is None and not attempt.kv_tokens:
        return None
    basis = f"{rate.basis}; one user in {ratio} waits for an answer" if rate else "bandwidth unknown"
    speed = _rounded(rate.tokens_per_second) if rate else None
    return Capacity(attempt.slots, users(attempt.slots, ratio), speed, basis)


def _served(scene: Scene, attempt: Attempt) -> Capacity | None:
    served = attempt.served
    if served is None:
        return None
    found = of_served(scene, attempt)
    if isinstance(found, str):
        replicas, load = served.layout.replicas, served.load
        requests = concurrent(served.pool.tokens, attempt.rung.context, load.sequences, replicas)
        return Capacity(requests, users(requests, scene.wish.users_per_request), None, found)
    return Capacity(
        concurrent_at_context=found.concurrent_at_context,
        users=found.users,
        tokens_per_second=_rounded(found.alone_tokens_per_second.usual),
        basis=found.basis,
        total_tokens_per_second=_rounded(found.total_tokens_per_second.usual),
        first_token_seconds=_rounded(found.first_token_seconds.usual) if found.first_token_seconds else None,
    )


def _rounded(value: float) -> float:
    """An estimate has three digits at most."""
    return float(f"{value:.3g}")
