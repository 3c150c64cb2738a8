"""Lays a model's need onto the room there is: one budget a device, what binds, and by how much."""

from provisioner.model.facts import Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import dataclass
from provisioner.planning.amounts import size
from provisioner.planning.ground import Ground, Room
from provisioner.planning.sizing import CUDA_BYTES, CUDA_HOST_BYTES, Need


@dataclass(frozen=True, slots=True)
class Fit:
    """`problem` is empty when everything has its place; then `missing_bytes` is 0."""

    budgets: tuple[DeviceBudget, ...]
    device_layers: int
    device_share: float
    missing_bytes: int
    missing_on: str
    problem: str


def fit(need: Need, placement: str, ground: Ground, layers: int | None = None) -> Fit:
    """`layers` fixes how many are on the device; None leaves it to the placement."""
    if isinstance(ground.host, Unknown):
        return Fit((), 0, 0.0, 0, "host", f"the host's memory is unknown: {ground.host.reason}")
    if placement == "host" or ground.device is None:
        return _verdict((_on_host(need, ground.host, 0.0),), 0, 0.0)
    on_device = _device_layers(need, ground.device, placement, layers)
    share = on_device / (need.layers + 1)
    device = _on_device(need, ground.device, share)
    return _verdict((device, _beside_device(need, ground.host, share)), on_device, share)


def _device_layers(need: Need, device: Room, placement: str, asked: int | None) -> int:
    """All layers and the output matrix, or in a split as many as there is room for."""
    everything = need.layers + 1
    if asked is not None:
        return min(asked, everything)
    if placement == "device":
        return everything
    room = device.budget_bytes - need.activation_bytes - CUDA_BYTES
    return max(0, min(everything, room * everything // (need.weights_bytes + need.kv_bytes)))


def _on_host(need: Need, room: Room, share: float) -> DeviceBudget:
    rest = 1 - share
    return _budget(room, round(need.weights_bytes * rest), round(need.kv_bytes * rest), need.activation_bytes,
                   need.process_bytes)  # fmt: skip


def _on_device(need: Need, room: Room, share: float) -> DeviceBudget:
    return _budget(room, round(need.weights_bytes * share), round(need.kv_bytes * share), need.activation_bytes,
                   CUDA_BYTES)  # fmt: skip


def _beside_device(need: Need, room: Room, share: float) -> DeviceBudget:
    if share == 1:
        return _budget(room, 0, 0, 0, need.process_bytes + CUDA_HOST_BYTES)
    host = _on_host(need, room, share)
    return _budget(room, host.weights_bytes, host.kv_cache_bytes, host.activation_bytes,
                   host.overhead_bytes + CUDA_HOST_BYTES)  # fmt: skip


def _budget(room: Room, weights: int, cache: int, activation: int, overhead: int) -> DeviceBudget:
    used = weights + cache + activation + overhead
    return DeviceBudget(room.device, room.total_bytes, room.budget_bytes, weights, cache, activation, overhead,
                        room.budget_bytes - used, room.basis)  # fmt: skip


def _verdict(budgets: tuple[DeviceBudget, ...], layers: int, share: float) -> Fit:
    worst = min(budgets, key=lambda budget: budget.free_bytes)
    if worst.free_bytes >= 0:
        return Fit(budgets, layers, share, 0, "", "")
    return Fit(budgets, layers, share, -worst.free_bytes, worst.device, _binding(worst))


def _binding(budget: DeviceBudget) -> str:
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
