"""How long whoever starts a service waits for it: until it is ready, and until its first token."""

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.mounts import holding
from provisioner.model.plugins import Engine, Place
from provisioner.planning.tries.attempt import Attempt

DISK_RATES = {"nvme": 1_000_000_000, "ssd": 300_000_000}
"""Bytes per second at which weights are surely read, by the disk's declared speed class: the slow end of each."""
SLOWEST = 100_000_000
"""Every other class: turning disks, flash cards, network storage, disks of virtual machines, and what is unknown."""

FIRST_TOKEN_SECONDS = 30
RANKS_SECONDS = 120
"""Of ranks on processors, which choose their kernels with the first question and wait for each other: two of vLLM 0.32 gave no
token within 30 s on two cores that others kept busy."""
PROBE_TOKENS = 64
"""The check's own question is shorter than this; it is worked through at the speed of single tokens at worst."""


def ready_seconds(engine: Engine, weights_bytes: int, facts: HostFacts, place: Place) -> int:
    """The engine's own start, and one reading of all weights from the disk that they lie on."""
    rate = DISK_RATES.get(disk_class(facts, place.state), SLOWEST)
    return engine.start_seconds + -(-weights_bytes // rate)


def disk_class(facts: HostFacts, path: str) -> str:
    """The speed class of the disk under a path, or `unknown`."""
    if isinstance(facts.filesystems, Unknown) or isinstance(facts.disks, Unknown):
        return "unknown"
    mount = holding(facts.filesystems, path)
    device = mount.device.rsplit("/", 1)[-1] if mount else ""
    found = [disk for disk in facts.disks if device.startswith(disk.name)]
    return max(found, key=lambda disk: len(disk.name)).speed_class if found else "unknown"


def first_token_seconds(attempt: Attempt) -> int:
    if attempt.speed is None:
        return 2 * FIRST_TOKEN_SECONDS
    first = RANKS_SECONDS if attempt.served is not None and attempt.rung.placement == "host" else FIRST_TOKEN_SECONDS
    return first + int(PROBE_TOKENS / max(0.1, attempt.speed.tokens_per_second))
