"""Which processors a service may use, how many threads it gets, and how memory is spread over NUMA nodes."""

from provisioner.model.cpus import from_list
from provisioner.model.facts import Cpu, HostFacts, Unknown

UNKNOWN_THREADS = 1
RANKS = {"performance": 1, "super": 2}
"""Kinds of cores by name, where several are there: Apple's M5 Pro has 5 super and 10 performance cores (pytorch/cpuinfo#424)."""


def thread_count(facts: HostFacts, asked: int | None) -> tuple[int, str]:
    """One thread a physical core that may be used, within the CPU quota; a second thread on a core adds nothing."""
    if asked is not None:
        return asked, "asked for"
    if isinstance(facts.cpu, Unknown):
        return UNKNOWN_THREADS, f"the processors are unknown ({facts.cpu.reason})"
    cores, because = _usable_cores(facts.cpu)
    quota = None if isinstance(facts.limits, Unknown) else facts.limits.cpus
    if quota is not None and quota < cores:
        return max(1, int(quota)), f"the CPU quota is {quota:g}, of {cores} cores"
    return cores, because


def _usable_cores(cpu: Cpu) -> tuple[int, str]:
    usable = len(_cpus(cpu.usable)) or cpu.threads
    per_core = max(1, round(cpu.threads / max(1, cpu.cores)))
    fast = _fast_cpus(cpu)
    if fast:
        return fast, f"{fast} fast cores; the slow ones would hold every step up"
    cores = max(1, min(cpu.cores, -(-usable // per_core)))
    told = f"{cores} physical cores" if cores == cpu.cores else f"{cores} of {cpu.cores} physical cores may be used"
    return cores, told


def _fast_cpus(cpu: Cpu) -> int:
    """On hybrid processors, how many of the usable CPUs are of the fast kind; 0 where all are alike."""
    usable = _cpus(cpu.usable)
    kinds = {kind: _cpus(text) & usable for kind, text in cpu.core_types.items()}
    if len(kinds) < 2:
        return 0
    name = max(kinds, key=_strength)
    fast = len(kinds[name]) if _strength(name) else 0
    return -(-fast // 2) if cpu.threads > cpu.cores else fast


def _strength(kind: str) -> int:
    """Kinds are those of `RANKS` and `efficiency`, or `capacity <number>`; 0 where the name does not rank them."""
    word, _, number = kind.partition(" ")
    return int(number) if word == "capacity" and number.isdecimal() else RANKS.get(kind, 0)


def _cpus(text: str) -> frozenset[int]:
    try:
        return from_list(text)
    except ValueError:
        return frozenset()


def cpu_list(facts: HostFacts) -> str | None:
    """The CPUs that the service is held to: only named when we ourselves may not use all."""
    if isinstance(facts.cpu, Unknown) or _cpus(facts.cpu.usable) >= _cpus(facts.cpu.online):
        return None
    return facts.cpu.usable or None


def numa_policy(facts: HostFacts) -> tuple[str | None, str]:
    """llama.cpp's `--numa` value and the reason for it."""
    if isinstance(facts.numa, Unknown):
        return None, f"NUMA nodes unknown ({facts.numa.reason})"
    nodes = [node for node in facts.numa if node.memory_bytes > 0]
    if len(nodes) > 1:
        return "distribute", f"{len(nodes)} nodes with memory: threads and pages are spread over all of them"
    return None, "one node with memory"
