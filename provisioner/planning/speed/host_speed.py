"""How fast an engine reads a host's memory: channels and sockets where the machine tells them, a careful guess where not."""

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.record import dataclass
from provisioner.planning.speed import bandwidth
from provisioner.planning.speed.capacity import Expected

Values = dict[str, tuple[float, float, float]]

HOST_VALUES = {"host_share", "socket_gain", "hop_seconds"}
"""What the rows of an engine tell that reads a host's memory."""

GUESS = (0.5, 1.0, 3.0)
"""Of the careful guess: unknown channels may be half as fast, and are more often much faster."""

FAST_CORES = 1.5
"""The best of cores beside the usual: 9 GB/s were measured where 6 are reckoned with, and 17.5 were reached where 16 are."""

BYTES_PER_TRANSFER = 8
"""A memory channel is 64 bits wide."""


NOTHING = Expected(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """Bytes per second that the engine reaches on the host."""

    slow: float
    usual: float
    fast: float
    hop_seconds: Expected
    """Handing one layer's work to the host and its result back."""
    basis: str
    layer_seconds: Expected = NOTHING
    """What the threads wait for each other in one layer that is all on the host: the more of them, the longer."""


def host_speed(facts: HostFacts, threads: int, values: Values) -> HostSpeed:
    """Never above what so many threads work through; the slow figure takes them for the weaker kind."""
    each = bandwidth.core_bandwidth(facts)
    most = threads * each
    rates, basis = _reached(facts, threads, values)
    if rates[1] > most:
        basis = f"{threads} threads at {each / 1e9:.0f} GB/s"
    slow, usual, fast = rates
    least = threads * bandwidth.CORE_BANDWIDTH
    waits = Expected(*(threads * one for one in values.get("barrier_seconds", (0.0, 0.0, 0.0))))
    hop = Expected(*values["hop_seconds"])
    return HostSpeed(min(slow, least), min(usual, most), min(fast, most * FAST_CORES), hop, basis, waits)


def _reached(facts: HostFacts, threads: int, values: Values) -> tuple[tuple[float, ...], str]:
    memory = facts.memory
    if isinstance(memory, Unknown) or isinstance(memory.channels, Unknown) or not memory.mega_transfers:
        rate, basis = bandwidth.host_bandwidth(facts, threads)
        return tuple(rate * factor for factor in GUESS), basis
    sockets = 1 if isinstance(facts.cpu, Unknown) else max(1, facts.cpu.sockets)
    one_socket = memory.channels / sockets * memory.mega_transfers * 1e6 * BYTES_PER_TRANSFER
    pairs = zip(values["host_share"], values["socket_gain"], strict=True)
    rates = tuple(one_socket * share * (1 + (sockets - 1) * gain) for share, gain in pairs)
    share = rates[1] / (one_socket * sockets)
    return rates, f"{share:.0%} of {memory.channels} channels at {memory.mega_transfers} MT/s"
