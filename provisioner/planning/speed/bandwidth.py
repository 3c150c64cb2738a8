"""How fast one answer comes: every token reads the active weights once, so memory bandwidth is the limit."""

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.record import dataclass

SOCKET_BANDWIDTH = 20_000_000_000
"""Bytes per second of one socket whose memory channels cannot be read: about half of two channels of DDR4-2400
(38.4 GB/s by the standard), the least that servers of the last ten years have."""

LARGE_SOCKET_CORES = 16
LARGE_SOCKET_BANDWIDTH = 40_000_000_000
"""The same for a socket with 16 cores or more that is no virtual machine's: half of two channels of DDR5-5200 (83 GB/s),
and far below the six to twelve channels of a server's socket."""

CORE_BANDWIDTH = 6_000_000_000
"""Bytes of weights that one core works through in a second: 9 GB/s of Q4_K were measured on one virtual core with AVX-512
(AMD EPYC, Zen 4), and cores with AVX2 alone do about two thirds of that."""

WIDE_CORE_BANDWIDTH = 16_000_000_000
"""The same for a core with AVX-512 that is no virtual machine's: R1 in 8 bits at 7.17 tokens/s on the sixteen of an EPYC 9135
(xlab.tencent.com, 2025-03-16), Llama 4 Maverick in 4 bits at 21.3 on those of an EPYC 9175F (loftllc.dev)."""

WIDE_VECTORS = "avx512f"

TOKEN_SECONDS = 0.0002
"""Sampling and the steps between: the demo's model, all in the cache of a core, makes 6,500 tokens/s."""


@dataclass(frozen=True, slots=True)
class Speed:
    tokens_per_second: float
    basis: str


def core_bandwidth(facts: HostFacts) -> int:
    """A virtual core is often half of one, and what is not told is taken for the weaker kind."""
    if isinstance(facts.cpu, Unknown) or isinstance(facts.host, Unknown) or facts.host.virtualization:
        return CORE_BANDWIDTH
    return WIDE_CORE_BANDWIDTH if WIDE_VECTORS in facts.cpu.flags else CORE_BANDWIDTH


def guessed(facts: HostFacts) -> tuple[float, str]:
    """Of all sockets together, where channels or their speed are not known, and which of the two is missing."""
    sockets = 1 if isinstance(facts.cpu, Unknown) else max(1, facts.cpu.sockets)
    each = LARGE_SOCKET_BANDWIDTH if _large(facts) else SOCKET_BANDWIDTH
    return float(sockets * each), f"{sockets} x {each / 1e9:.0f} GB/s ({_missing(facts)})"


def _missing(facts: HostFacts) -> str:
    channels, mega_transfers = channels_of(facts)
    if channels:
        return "speed of the memory not said: DDR5-4800, for example"
    return "channels not said" if mega_transfers else "channels unknown"


def channels_of(facts: HostFacts) -> tuple[int, int]:
    """How many, and their million transfers a second; 0 for what is not known."""
    memory = facts.memory
    if isinstance(memory, Unknown):
        return 0, 0
    channels = 0 if isinstance(memory.channels, Unknown) else max(0, memory.channels)
    return channels, max(0, memory.mega_transfers or 0)


def _large(facts: HostFacts) -> bool:
    """A virtual machine's sockets say nothing about the memory under them."""
    if isinstance(facts.cpu, Unknown) or isinstance(facts.host, Unknown) or facts.host.virtualization:
        return False
    return facts.cpu.cores >= LARGE_SOCKET_CORES * max(1, facts.cpu.sockets)


def tokens_per_second(bytes_per_token: float, bandwidth: float) -> float:
    return 1 / (bytes_per_token / max(1.0, bandwidth) + TOKEN_SECONDS)
