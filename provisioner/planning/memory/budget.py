"""Lays a model's need onto the room there is: one budget a device, what binds, and by how much.

For engines that take what the model needs, layer by layer, and no more: llama.cpp and what is built on it.
"""

from itertools import accumulate

from provisioner.model.facts import Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import dataclass, replace
from provisioner.planning.asked.amounts import size
from provisioner.planning.machine.ground import Ground, Room
from provisioner.planning.memory.sizing import CUDA_BYTES, CUDA_HOST_BYTES, Need

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
    host_experts: int = 0
    """Of so many layers, counted from the first, the experts are in host memory and all else on devices (`--n-cpu-moe`)."""

    @property
    def all_on_devices(self) -> bool:
        return self.device_share == NOTHING_FOR_THE_HOST and not self.host_experts


def fit(need: Need, placement: str, ground: Ground, layers: int | None = None) -> Fit:
    """`layers` fixes how many are on devices; None leaves it to the placement."""
    if isinstance(ground.host, Unknown):
        return Fit((), 0, 0.0, 0, "host", f"the host's memory is unknown: {ground.host.reason}")
    alone = ground.host if ground.whole_host is None or isinstance(ground.whole_host, Unknown) else ground.whole_host
    if placement == "host" or not ground.devices:
        return verdict((_all_on_host(need, alone),), (), 0.0)
    rooms = tuple(room for _, room in ground.devices)
    if placement != "device":
        return _laid(need, ground.host, rooms, _asked(need, rooms, layers))
    fewest = 1 if layers is not None else _roomy(need, rooms)
    fits = (_laid(need, ground.host, rooms[:count], _whole(need, layers)) for count in range(fewest, len(rooms) + 1))
    found = next((one for one in fits if not one.problem), None)
    return found or _laid(need, ground.host, rooms, _whole(need, layers))


def _roomy(need: Need, rooms: tuple[Room, ...]) -> int:
    """Devices, the roomiest first, that it takes for weights and cache alone: fewer need not be tried."""
    sums = accumulate(room.budget_bytes for room in rooms)
    return 1 + sum(held < need.weights_bytes + need.kv_bytes for held in sums)


def _all_on_host(need: Need, room: Room) -> DeviceBudget:
    return budget_of(room, need.weights_bytes, need.kv_bytes, need.activation_bytes, need.process_bytes)


def _whole(need: Need, asked: int | None) -> int:
    """All layers and the output matrix, unless fewer were asked for."""
    return need.layers + 1 if asked is None else min(asked, need.layers + 1)


def _asked(need: Need, rooms: tuple[Room, ...], asked: int | None) -> int:
    """In a split, as many layers as there is room for."""
    everything = need.layers + 1
    if _whole(need, asked) == everything <= sum(_capacities(need, rooms, everything)):
        return everything
    return min(_whole(need, asked), sum(_capacities(need, rooms, 0)))


def _capacities(need: Need, rooms: tuple[Room, ...], layers: int) -> tuple[int, ...]:
    """How many layers each device can hold, where so many in all are to be on devices."""
    copied = 0 if layers > need.layers else need.copied_bytes
    return tuple(_capacity(need, room, 0 if at else copied) for at, room in enumerate(rooms))


def _capacity(need: Need, room: Room, copied: int) -> int:
    usable = room.budget_bytes - need.activation_bytes - copied - CUDA_BYTES
    return max(0, usable * (need.layers + 1) // (need.weights_bytes + need.kv_bytes))


def _laid(need: Need, host: Room, rooms: tuple[Room, ...], layers: int) -> Fit:
    split = spread(layers, _capacities(need, rooms, layers))
    everything = need.layers + 1
    share = layers / everything
    copied = need.copied_bytes if layers < everything and split[0] else 0
    weights, caches = _dealt(need.weights_bytes, split, everything), _dealt(need.kv_bytes, split, everything)
    devices = tuple(
        budget_of(room, weight, cache, need.activation_bytes + (0 if at else copied), CUDA_BYTES)
        for at, (room, weight, cache) in enumerate(zip(rooms, weights, caches, strict=True))
    )
    rest = need.weights_bytes - sum(weights), need.kv_bytes - sum(caches)
    computing = need.activation_bytes if layers < everything else 0
    beside = budget_of(host, *rest, computing, need.process_bytes + CUDA_HOST_BYTES)
    return verdict((*devices, beside), split, share)


def _dealt(total: int, split: tuple[int, ...], everything: int) -> tuple[int, ...]:
    """To each device by its layers; a byte that rounding leaves falls to the host, or to the first device where all are."""
    each = [total * count // everything for count in split]
    if sum(split) == everything:
        each[0] += total - sum(each)
    return tuple(each)


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


def budget_of(room: Room, weights: int, cache: int, activation: int, overhead: int) -> DeviceBudget:
    used = weights + cache + activation + overhead
    return DeviceBudget(room.device, room.total_bytes, room.budget_bytes, weights, cache, activation, overhead,
                        room.budget_bytes - used, room.basis)  # fmt: skip


def verdict(budgets: tuple[DeviceBudget, ...], split: tuple[int, ...], share: float) -> Fit:
    worst = min(budgets, key=lambda budget: budget.free_bytes)
    if worst.free_bytes >= 0:
        return Fit(budgets, sum(split), share, 0, "", "", split)
    short = -sum(budget.free_bytes for budget in budgets if budget.free_bytes < 0 and _alike(budget, worst))
    return Fit(budgets, sum(split), share, short, worst.device, binding(worst), split)


def judged(fitting: Fit, budgets: tuple[DeviceBudget, ...]) -> Fit:
    """The same layers on the same devices, with budgets that were corrected."""
    return replace(verdict(budgets, fitting.split, fitting.device_share), host_experts=fitting.host_experts)


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
