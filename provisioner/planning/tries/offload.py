"""Experts in host memory, all else on devices: what llama.cpp does with `--n-cpu-moe N`, for the experts of the first N layers.

A token reads few of a layer's experts, so little of what the host holds goes through its slow memory.
"""

from itertools import accumulate, pairwise

from provisioner.model.catalog import Geometry
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import dataclass, replace
from provisioner.planning.machine.ground import Room
from provisioner.planning.memory.budget import Fit, budget_of, verdict
from provisioner.planning.memory.checkpoints import parts
from provisioner.planning.memory.sizing import CUDA_BYTES, CUDA_HOST_BYTES, Need
from provisioner.planning.speed.hybrid import Load

LARGEST_MATRIX = 0.5
"""Of one layer's experts: a third in files of one type; where down projections have 6.56 bits among 4.5, as in Q4_K_M, 42 %."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Bytes of each layer in its order, and of the output matrix, which counts as one more."""

    common: tuple[int, ...]
    experts: tuple[int, ...]
    cache: tuple[int, ...]
    table: int
    """Input embeddings, which llama.cpp keeps on the host."""
    dense: int
    """Layers without experts, which come first in models that mix the two kinds."""

    def on_device(self, at: int, first: int) -> int:
        """Of one row, where the experts of the `first` layers are on the host."""
        return self.common[at] + self.cache[at] + (self.experts[at] if at >= first else 0)

    def on_devices(self, first: int) -> tuple[int, ...]:
        """The same of all rows."""
        return tuple(
            common + cache + (experts if at >= first else 0)
            for at, (common, cache, experts) in enumerate(zip(self.common, self.cache, self.experts, strict=True))
        )


def with_copies(need: Need, load: Load) -> Need:
    """With what a prompt of 32 tokens and more takes on the first device.

    Each matrix of experts that the host holds is copied there to be multiplied, one after the other in the same memory
    (ggml_backend_sched_backend_id_from_cur and ggml_backend_sched_split_graph, ggml/src/ggml-backend.cpp of ggml-org/llama.cpp).
    """
    if not load.expert_layers:
        return need
    return replace(need, copied_bytes=int(load.reads.expert_bytes / load.expert_layers * LARGEST_MATRIX))


def rows_of(load: Load, geometry: Geometry) -> Rows:
    """What every token reads is dealt out as parameters are, experts and cache evenly; no byte is lost in rounding."""
    dense = geometry.layers - load.expert_layers
    own = parts(geometry).attention // max(1, geometry.layers)
    wide = 3 * geometry.hidden * geometry.feed_forward
    shared = 3 * geometry.hidden * geometry.expert_feed_forward * geometry.shared_experts
    layers = (*[own + wide] * dense, *[own + shared] * load.expert_layers)
    return Rows(
        common=_dealt(load.reads.common_bytes, (*layers, geometry.vocab * geometry.hidden)),
        experts=_dealt(load.reads.expert_bytes, (*[0] * dense, *[1] * load.expert_layers, 0)),
        cache=_dealt(load.kv_bytes, (*[1] * geometry.layers, 0)),
        table=load.host_table_bytes,
        dense=dense,
    )


def _dealt(total: int, parts_of: tuple[int, ...]) -> tuple[int, ...]:
    whole = max(1, sum(parts_of))
    edges = [total * upto // whole for upto in accumulate(parts_of, initial=0)]
    return tuple(end - start for start, end in pairwise(edges))


def by_experts(need: Need, rows: Rows, host: Room, rooms: tuple[Room, ...], asked: int | None = None) -> Fit:
    """The experts of as few layers on the host as there is room for the others on devices; or of `asked` layers."""
    layers = len(rows.common) - 1
    first = _fewest(need, rows, rooms) if asked is None else min(asked, layers)
    counts, left = _filled(need, rows, rooms, first)
    counts[-1] += left
    return _budgeted(need, rows, host, rooms, tuple(counts), first)


def _fewest(need: Need, rows: Rows, rooms: tuple[Room, ...]) -> int:
    """By halving: with the experts of one layer more on the host, the layers reach at least as far. All where none reaches the end."""
    low, high = rows.dense + 1, len(rows.common) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if not _filled(need, rows, rooms, middle)[1] else (middle + 1, high)
    return low


def _filled(need: Need, rows: Rows, rooms: tuple[Room, ...], first: int) -> tuple[list[int], int]:
    """Layers device by device in their order, and how many find no room."""
    at, sizes = 0, rows.on_devices(first)
    counts: list[int] = []
    for room in rooms:
        free = room.budget_bytes - _beside(need, first=not any(counts), experts=first > rows.dense)
        start = at
        while at < len(sizes) and sizes[at] <= free:
            free -= sizes[at]
            at += 1
        counts.append(at - start)
    return counts, len(sizes) - at


def _beside(need: Need, *, first: bool, experts: bool) -> int:
    """What a device that computes holds beside weights and cache."""
    return need.activation_bytes + CUDA_BYTES + (need.copied_bytes if first and experts else 0)


def _budgeted(need: Need, rows: Rows, host: Room, rooms: tuple[Room, ...], counts: tuple[int, ...], first: int) -> Fit:
    starts = (0, *accumulate(counts))
    devices = tuple(
        _on_device(need, rows, room, range(start, start + count), first)
        for room, start, count in zip(rooms, starts, counts, strict=False)
    )
    away = sum(rows.experts[:first])
    computing = need.activation_bytes if away else 0
    beside = budget_of(host, away + rows.table, 0, computing, need.process_bytes + CUDA_HOST_BYTES)
    return replace(verdict((*devices, beside), counts, 1.0), host_experts=first)


def _on_device(need: Need, rows: Rows, room: Room, held: range, first: int) -> DeviceBudget:
    if not held:
        return budget_of(room, 0, 0, 0, 0)
    cache = sum(rows.cache[at] for at in held)
    weights = sum(rows.on_device(at, first) for at in held) - cache
    beside = _beside(need, first=held.start == 0, experts=first > rows.dense)
    return budget_of(room, weights, cache, beside - CUDA_BYTES, CUDA_BYTES)
