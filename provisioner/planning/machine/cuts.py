"""Ways to cut one copy of a model over a number of devices, in the order in which they are worth trying."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import dataclass, replace

Refuses = Callable[[Degrees], str]
"""Why the engine cannot run this model cut like that; empty when it can."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`instead` says why a simpler cut over as many devices was not to be had; empty where this is the simplest."""

    degrees: Degrees
    instead: str = ""


def cuts(devices: int, geometry: Geometry, refuses: Refuses) -> Iterator[Cut]:
    """Within one node: tensor parallelism, powers of two first, then what divides a cache that it copies to each rank.

    That is: each rank keeps a part of every context, or ranks serve different requests, or layers go to stages.
    """
    refused: dict[int, str] = {}
    for size in sorted(range(1, devices + 1), key=lambda size: (not _power_of_two(size), size)):
        cut = _whole_experts(Degrees(tensor=size), geometry, refuses)
        if cut is not None:
            yield cut
        else:
            refused[size] = refuses(Degrees(tensor=size))
    rest = [size for size in range(2, devices + 1) if size in refused or not _divides_cache(size, geometry)]
    yield from _divided_contexts(rest, geometry, refuses)
    if geometry.experts:
        yield from _data(rest, refuses)
    yield from _pipelines(rest, refused, geometry, refuses)


def order(degrees: Degrees) -> tuple[int, ...]:
    """Sorts cuts as `cuts` gives them, and those over nodes after them: for whoever has some for each kind of card."""
    if degrees.nodes > 1:
        return (degrees.nodes,)
    if degrees.pipeline > 1:
        return (1, 3, degrees.pipeline, degrees.tensor)
    if degrees.data > 1:
        return (1, 2, degrees.ranks, degrees.tensor)
    if degrees.decode_context > 1:
        return (1, 1, degrees.tensor)
    return (1, 0, not _power_of_two(degrees.tensor), degrees.tensor)


def across(devices: int, nodes: int, geometry: Geometry, refuses: Refuses, tensor: bool = False) -> Iterator[Cut]:
    """Over this many nodes with this many devices each: pipelines, then data-parallel experts; `tensor` when asked for."""
    if tensor:
        everything = Degrees(tensor=devices * nodes, nodes=nodes)
        if not refuses(everything):
            yield Cut(everything, "asked for")
    for data in (False, True) if geometry.experts else (False,):
        cut = _spread(devices, nodes, data, geometry, refuses)
        if cut is not None:
            yield cut


def _divides_cache(size: int, geometry: Geometry) -> bool:
    """Whether tensor parallelism leaves each rank its share of the cache; else another cut of as many devices may hold more."""
    return not geometry.kv_lora_rank and geometry.kv_heads % size == 0


def _power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _divided_contexts(sizes: Iterable[int], geometry: Geometry, refuses: Refuses) -> Iterator[Cut]:
    """Decode context parallelism: ranks that would hold the same heads each hold some of the tokens, as many ways as can be."""
    for size in sizes:
        for parts in reversed(_divisors(size)[1:]):
            cut = _whole_experts(Degrees(tensor=size, decode_context=parts), geometry, refuses)
            if cut is not None:
                yield cut
                break


def _data(sizes: Iterable[int], refuses: Refuses) -> Iterator[Cut]:
    """Attention and its cache once a rank, experts once in all: the most cache for models that cannot divide it."""
    for size in sizes:
        for tensor in _divisors(size)[:-1]:
            degrees = Degrees(tensor=tensor, data=size // tensor, expert=True)
            if not refuses(degrees):
                yield Cut(degrees)


def _pipelines(sizes: Iterable[int], refused: Mapping[int, str], geometry: Geometry, refuses: Refuses) -> Iterator[Cut]:
    """The fewest stages first, of the fewest devices each."""
    pairs = ((size // tensor, tensor) for size in sizes for tensor in _divisors(size)[:-1])
    for stages, tensor in sorted(pairs):
        cut = _with_stages(Degrees(tensor=tensor, pipeline=stages), geometry, refuses)
        if cut is not None:
            yield replace(cut, instead=refused.get(stages * tensor) or cut.instead)


def _spread(devices: int, nodes: int, data: bool, geometry: Geometry, refuses: Refuses) -> Cut | None:
    """The widest tensor parallelism that a node can have; the rest of its devices are further stages or data ranks."""
    for tensor in reversed(_divisors(devices)):
        rest = devices // tensor * nodes
        if data:
            degrees = Degrees(tensor=tensor, data=rest, nodes=nodes, expert=True)
            cut = None if refuses(degrees) else Cut(degrees)
        else:
            cut = _with_stages(Degrees(tensor=tensor, pipeline=rest, nodes=nodes), geometry, refuses)
        if cut is not None:
            return cut
    return None


def _with_stages(degrees: Degrees, geometry: Geometry, refuses: Refuses) -> Cut | None:
    return _whole_experts(degrees, geometry, refuses) if degrees.pipeline <= geometry.layers else None


def _whole_experts(degrees: Degrees, geometry: Geometry, refuses: Refuses) -> Cut | None:
    """Experts are cut like all else, and stay whole only where the engine cannot cut them so small."""
    why = refuses(degrees)
    if not why:
        return Cut(degrees)
    whole = replace(degrees, expert=True)
    return Cut(whole, why) if degrees.tensor > 1 and geometry.experts and not refuses(whole) else None


def _divisors(number: int) -> list[int]:
    return [divisor for divisor in range(1, number + 1) if number % divisor == 0]
