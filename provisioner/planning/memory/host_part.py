"""What servers hold of the host's memory beside the devices that hold their model: each node has to have it."""

from provisioner.model.facts import Unknown
from provisioner.model.plan import DeviceBudget
from provisioner.model.record import replace
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.machine.ground import Room
from provisioner.planning.memory.budget import Fit, binding

HOST_BYTES = 4 * GIB
RANK_HOST_BYTES = 2 * GIB
"""What a server and each of its workers hold of the host's memory beside files in its cache: Python, the libraries of CUDA or
ROCm, pinned buffers (an assumption; 1.2 to 2.5 GiB a worker are usual). Each copy of a model is a server of its own."""


def copies_beside(room: Room | Unknown, ranks: int) -> int:
    """How many copies of so many ranks on a node its host has room for."""
    return 0 if isinstance(room, Unknown) else room.budget_bytes // _needed(1, ranks)


def least_short(room: Room | Unknown, copies: int, ranks: int) -> int:
    """Bytes that the host is short of at least beside so many ranks, whatever lies on devices; 0 where it may have room."""
    return 0 if isinstance(room, Unknown) else max(0, _needed(copies, ranks) - room.budget_bytes)


def with_host(fitting: Fit, room: Room | Unknown, copies: int, weights: int = 0) -> Fit:
    """What was laid on the devices of one node, and its host beside them; devices that are short come before it.

    `weights` are those that all ranks of the node leave to the host.
    """
    if isinstance(room, Unknown):
        return replace(
            fitting, missing_bytes=0, missing_on="host", problem=f"the host's memory is unknown: {room.reason}"
        )
    needed = _needed(copies, len(fitting.budgets))
    free = room.budget_bytes - needed - weights
    host = DeviceBudget("host", room.total_bytes, room.budget_bytes, weights, 0, 0, needed, free, room.basis)
    beside = replace(fitting, budgets=(*fitting.budgets, host))
    if free >= 0:
        return beside
    if fitting.problem:
        return replace(beside, problem=f"{fitting.problem}; and {binding(host)}")
    return replace(beside, missing_bytes=-free, missing_on="host", problem=binding(host))


def _needed(copies: int, ranks: int) -> int:
    return copies * HOST_BYTES + ranks * RANK_HOST_BYTES
