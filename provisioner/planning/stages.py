"""How many layers each stage of a pipeline has."""

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees


def stage_layers(layers: int, stages: int) -> tuple[int, ...]:
    """As vLLM deals them out: what is left over goes to the stages before the last, which has the output head to carry.

    The rule is that of vLLM 0.32 distributed/utils.py, get_pp_indices.
    """
    each, over = divmod(layers, stages)
    counts = [each] * stages
    for place in range(over):
        counts[-2 - place] += 1
    return tuple(counts)


def on_stage(count: int, geometry: Geometry, degrees: Degrees, stage: int | None = None) -> int:
    """Of `count` layers that are spread evenly among all layers, those of one pipeline stage; None for the longest."""
    if degrees.pipeline == 1 or not geometry.layers:
        return count
    lengths = stage_layers(geometry.layers, degrees.pipeline)
    length = max(lengths) if stage is None else lengths[stage]
    return -(-count * length // geometry.layers)
