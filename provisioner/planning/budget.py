"""Lays a model's need onto the room there is: one budget a device, what binds, and by how much.

For engines that take what the model needs, layer by layer, and no more: llama.cpp and what is built on it.
"""

from provisioner.model.facts import Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import dataclass
from provisioner.planning.amounts import size
from provisioner.planning.ground import Ground, Room
from provisioner.planning.sizing import CUDA_BYTES, CUDA_HOST_BYTES, Need

NOTHING_FOR_THE_HOST = 1.0


@dataclass(frozen=True, slots=True)
class Fit:
    """`problem` is empty when everything has its place; then `missing_bytes` is 0."""

    budgets: tuple[DeviceBudget, ...]
    device_layers: int
    device_share: float
    missing_bytes: int
    missing_on: str
    problem: str
    split: tuple[int, ...] = ()
    """Layers on each device, in the order of `budgets`; the output matrix counts as one."""


def fit(need: Need, placement: str, ground: Ground, layers: int | None = None) -> Fit:
    """`layers` fixes how many are on devices; None leaves it to the placement."""
    if isinstance(ground.host, Unknown):
        return Fit((), 0, 0.0, 0, "host", f"the host's memory is unknown: {ground.host.reason}")
    alone = ground.host if ground.whole_host is None or isinstance(ground.whole_host, Unknown) else ground.whole_host
    if placement == "host" or not ground.devices:
        return _verdict((_on_host(need, alone, 0.0),), (), 0.0)
    rooms = tuple(room for _, room in ground.devices)
    if placement != "device":
        return _laid(need, ground.host, rooms, _asked(need, rooms, layers))
    fits = (_laid(need, ground.host, rooms[:count], _whole(need, layers)) for count in range(1, len(rooms) + 1))
    found = next((one for one in fits if not one.problem), None)
    return found or _laid(need, ground.host, rooms, _whole(need, layers))


def _whole(need: Need, asked: int | None) -> int:
    """All layers and the output matrix, unless fewer were asked for."""
    return need.layers + 1 if asked is None else min(asked, need.layers + 1)


def _asked(need: Need, rooms: tuple[Room, ...], asked: int | None) -> int:
    """In a split, as many layers as there is room for."""
    return min(_whole(need, asked), sum(_capacity(need, room) for room in rooms))


def _capacity(need: Need, room: Room) -> int:
    usable = room.budget_bytes - need.activation_bytes - CUDA_BYTES
    return max(0, usable * (need.layers + 1) // (need.weights_bytes + need.kv_bytes))


def _laid(need: Need, host: Room, rooms: tuple[Room, ...], layers: int) -> Fit:
    split = spread(layers, tuple(_capacity(need, room) for room in rooms))
    everything = need.layers + 1
    budgets = tuple(_on_device(need, room, count / everything) for room, count in zip(rooms, split, strict=True))
    share = layers / everything
    return _verdict((*budgets, _beside_device(need, host, share)), split, share)


def spread(layers: int, capacities: tuple[int, ...]) -> tuple[int, ...]:
    """So many layers over devices, in proportion to what each can hold; what is left over falls on the roomiest."""
    total = sum(capacities)
    if not total:
        return (layers, *(0 for _ in capacities[1:]))
    counts = [layers * capacity // total for capacity in capacities]
    order = sorted(range(len(capacities)), key=lambda at: counts[at] - capacities[at])
    for extra in range(layers - sum(counts)):
        counts[order[extra % len(order)]] += 1
    return tuple(counts)


def _on_host(need: Need, room: Room, share: float) -> DeviceBudget:
    rest = 1 - share
    return _budget(room, round(need.weights_bytes * rest), round(need.kv_bytes * rest), need.activation_bytes,
                   need.process_bytes)  # fmt: skip


def _on_device(need: Need, room: Room, share: float) -> DeviceBudget:
    return _budget(room, round(need.weights_bytes * share), round(need.kv_bytes * share), need.activation_bytes,
                   CUDA_BYTES)  # fmt: skip


def _beside_device(need: Need, room: Room, share: float) -> DeviceBudget:
    if share == NOTHING_FOR_THE_HOST:
        return _budget(room, 0, 0, 0, need.process_bytes + CUDA_HOST_BYTES)
    host = _on_host(need, room, share)
    return _budget(room, host.weights_bytes, host.kv_cache_bytes, host.activation_bytes,
                   host.overhead_bytes + CUDA_HOST_BYTES)  # fmt: skip


def _budget(room: Room, weights: int, cache: int, activation: int, overhead: int) -> DeviceBudget:
    used = weights + cache + activation + overhead
    return DeviceBudget(room.device, room.total_bytes, room.budget_bytes, weights, cache, activation, overhead,
                        room.budget_bytes - used, room.basis)  # fmt: skip


def _verdict(budgets: tuple[DeviceBudget, ...], split: tuple[int, ...], share: float) -> Fit:
    worst = min(budgets, key=lambda budget: budget.free_bytes)
    if worst.free_bytes >= 0:
        return Fit(budgets, sum(split), share, 0, "", "", split)
    short = -sum(budget.free_bytes for budget in budgets if budget.free_bytes < 0 and _alike(budget, worst))
    return Fit(budgets, sum(split), share, short, worst.device, binding(worst), split)


def judged(fitting: Fit, budgets: tuple[DeviceBudget, ...]) -> Fit:
    """The same layers on the same devices, with budgets that were corrected."""
    return _verdict(budgets, fitting.split, fitting.device_share)


def _alike(one: DeviceBudget, other: DeviceBudget) -> bool:
    return (one.device == "host") == (other.device == "host")


def binding(budget: DeviceBudget) -> str:
    """The largest component on the device that is too small, and by how much it is too small."""
    parts = {
        "weights": budget.weights_bytes,
        "KV cache": budget.kv_cache_bytes,
        "compute buffer": budget.activation_bytes,
        "the engine itself": budget.overhead_bytes,
    }
    name = max(parts, key=lambda part: parts[part])
    used = sum(parts.values())
    return (
        f"{name} on {budget.device}: {size(parts[name])} of {size(used)} needed, "
        f"{size(budget.budget_bytes)} to plan with ({budget.basis}), {size(-budget.free_bytes)} short"
    )
