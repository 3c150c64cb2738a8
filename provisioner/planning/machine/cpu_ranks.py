"""Which processors each rank of an engine gets: those of a NUMA node, one of each core."""

from collections.abc import Iterator
from itertools import chain

from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.record import dataclass

SPARE_FROM = 3
"""A rank with so many cores leaves one of them to the server, which works while the ranks compute (vllm 0.32.0 does the same,
utils/ompmultiprocessing.py)."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """The processors of each rank, as the kernel lists them; `problem` where there are not enough."""

    cpus: tuple[str, ...]
    because: str
    problem: str = ""


def cpu_ranks(facts: HostFacts, only: str | None, wanted: int | None) -> Iterator[Ranks]:
    """As many ranks as are wanted; else one for each node, and one for all of them where the engine refuses that."""
    nodes = _nodes(facts, only)
    if wanted is not None:
        yield _ranks(nodes, wanted, facts, "as many ranks as were asked for")
        return
    if len(nodes) > 1:
        yield _ranks(nodes, len(nodes), facts, "a rank for each NUMA node, beside its memory")
    yield _ranks(nodes, 1, facts, "one rank")


def _nodes(facts: HostFacts, only: str | None) -> list[frozenset[int]]:
    """The usable processors of each node with memory; all of them as one node where nodes are not known."""
    if isinstance(facts.cpu, Unknown):
        return []
    usable = from_list(only or facts.cpu.usable or facts.cpu.online)
    known = () if isinstance(facts.numa, Unknown) else facts.numa
    nodes = [from_list(node.cpus) & usable for node in known if node.memory_bytes]
    return [node for node in nodes if node] or ([usable] if usable else [])


def _ranks(nodes: list[frozenset[int]], count: int, facts: HostFacts, because: str) -> Ranks:
    """Whole nodes for each rank where they divide, else equal parts of all cores in the order of the nodes."""
    cores = [_cores(node, facts) for node in nodes]
    if len(nodes) % count == 0 and nodes:
        each = len(nodes) // count
        parts = [list(chain(*cores[at * each : (at + 1) * each])) for at in range(count)]
    else:
        everything = list(chain(*cores))
        each = len(everything) // count
        parts = [everything[at * each : (at + 1) * each] for at in range(count)]
    if not parts or not all(parts):
        there = sum(map(len, cores))
        return Ranks(("",) * count, because, f"{count} ranks need a core each, and {there} may be used")
    return Ranks(tuple(to_list(_without_spare(part)) for part in parts), because)


def _cores(cpus: frozenset[int], facts: HostFacts) -> list[int]:
    """One processor of each core: the kernel counts second threads after all first ones."""
    if isinstance(facts.cpu, Unknown):
        return sorted(cpus)
    a_core = max(1, round(facts.cpu.threads / max(1, facts.cpu.cores)))
    return sorted(cpus)[: -(-len(cpus) // a_core)]


def _without_spare(cores: list[int]) -> list[int]:
    return cores[:-1] if len(cores) >= SPARE_FROM else cores
