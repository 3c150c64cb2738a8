"""How fast an engine reads a host's memory: channels and sockets where the machine tells them, a careful guess where not."""

from collections.abc import Iterable

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.record import dataclass, replace
from provisioner.model.speed import SpeedRow
from provisioner.planning.speed import bandwidth
from provisioner.planning.speed.capacity import Expected
from provisioner.planning.speed.rates import Situation, values_of

Values = dict[str, tuple[float, float, float]]

HOST_VALUES = {"host_share", "socket_gain", "hop_seconds"}
"""What the rows of an engine tell that reads a host's memory."""

GUESS = (0.5, 1.0, 3.0)
"""Of the careful guess: unknown channels may be half as fast, and are more often much faster."""

FAST_CORES = 1.5
"""The best of cores beside the usual: 9 GB/s were measured where 6 are reckoned with, and 17.5 were reached where 16 are."""

BYTES_PER_TRANSFER = 8
"""A memory channel is 64 bits wide."""

LENDER = "llamacpp"
"""Whose rows stand in for an engine that no row about a host's memory is of."""

LENT = (0.5, 1.0, 1.25)
"""Of what is lent: another engine may be half as fast, and none gets more than all that the channels give."""

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


def host_of(rows: Iterable[SpeedRow], facts: HostFacts, threads: int, situation: Situation) -> HostSpeed:
    """By the engine's own rows; where it has none, by llama.cpp's in a wider range.

    Cores are then taken for the weaker kind: what strong ones do was measured of llama.cpp alone.
    """
    known = tuple(rows)
    values, _ = values_of(known, situation)
    if values.keys() >= HOST_VALUES:
        return host_speed(facts, threads, values)
    values, _ = values_of(known, replace(situation, engine=LENDER))
    found = host_speed(facts, threads, values, bandwidth.CORE_BANDWIDTH)
    slow, usual, fast = (
        rate * factor for rate, factor in zip((found.slow, found.usual, found.fast), LENT, strict=True)
    )
    return replace(found, slow=slow, usual=usual, fast=fast, basis=f"{found.basis}, as llama.cpp's, range widened")


def host_speed(facts: HostFacts, threads: int, values: Values, core: int | None = None) -> HostSpeed:
    """Never above what so many threads work through; the slow figure takes them for the weaker kind."""
    best = bandwidth.core_bandwidth(facts)
    each = best if core is None else core
    most = threads * each
    rates, basis = _reached(facts, values)
    if rates[1] > most:
        basis = f"{threads} threads at {each / 1e9:.0f} GB/s"
    slow, usual, fast = rates
    least = threads * bandwidth.CORE_BANDWIDTH
    waits = Expected(*(threads * one for one in values.get("barrier_seconds", (0.0, 0.0, 0.0))))
    hop = Expected(*values["hop_seconds"])
    return HostSpeed(min(slow, least), min(usual, most), min(fast, threads * best * FAST_CORES), hop, basis, waits)


def _reached(facts: HostFacts, values: Values) -> tuple[tuple[float, ...], str]:
    """What the memory gives, whatever the cores do with it."""
    channels, mega_transfers = bandwidth.channels_of(facts)
    if not channels or not mega_transfers:
        rate, basis = bandwidth.guessed(facts)
        return tuple(rate * factor for factor in GUESS), basis
    sockets = 1 if isinstance(facts.cpu, Unknown) else max(1, facts.cpu.sockets)
    one_socket = channels / sockets * mega_transfers * 1e6 * BYTES_PER_TRANSFER
    pairs = zip(values["host_share"], values["socket_gain"], strict=True)
    rates = tuple(one_socket * share * (1 + (sockets - 1) * gain) for share, gain in pairs)
    share = rates[1] / (one_socket * sockets)
    return rates, f"{share:.0%} of {channels} channels at {mega_transfers} MT/s"
