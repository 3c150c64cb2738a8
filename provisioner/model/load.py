"""What an engine would carry on one device, and what it takes for itself beside that: the words of the memory arithmetic."""

from collections.abc import Mapping

from provisioner.model.catalog import Geometry
from provisioner.model.engines import Constant
from provisioner.model.record import dataclass, field

GROUP = 128
"""Values that share a scale where a checkpoint does not say how many: the default of the tools that write AWQ and GPTQ
(`group_size` of AwqConfig and GPTQConfig, transformers utils/quantization_config.py)."""


@dataclass(frozen=True, slots=True)
class Degrees:
    """How one copy of a model is cut. `decode_context` is vLLM's DCP, `expert` whether experts stay whole on a rank."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    nodes: int = 1
    decode_context: int = 1
    expert: bool = False

    @property
    def ranks(self) -> int:
        return self.tensor * self.pipeline * self.data

    def stage_layers(self, layers: int) -> tuple[int, ...]:
        """As vLLM deals them out: what is left over goes to the stages before the last, which has the output head to carry.

        The rule is that of vLLM 0.32 distributed/utils.py, get_pp_indices.
        """
        each, over = divmod(layers, self.pipeline)
        counts = [each] * self.pipeline
        for place in range(over):
            counts[-2 - place] += 1
        return tuple(counts)

    def on_stage(self, count: int, layers: int, stage: int | None = None) -> int:
        """Of `count` layers that are spread evenly among all `layers`, those of one pipeline stage; None for the longest."""
        if self.pipeline == 1 or not layers:
            return count
        lengths = self.stage_layers(layers)
        length = max(lengths) if stage is None else lengths[stage]
        return -(-count * length // layers)


@dataclass(frozen=True, slots=True)
class Amount:
    """Bytes as they are expected, with the range that was seen and where it comes from."""

    bytes: int
    low: int
    high: int
    basis: str


@dataclass(frozen=True, slots=True)
class Card:
    """One device as an engine meets it."""

    vendor: str
    name: str
    total_bytes: int
    """What the runtime reports as total, which is less than the driver's figure."""
    free_bytes: int
    architecture: str
    """`sm89`, `gfx942`, `910b`: what kernels are built for; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Load:
    """One rank of an engine on one device: everything that its own memory depends on."""

    geometry: Geometry
    precision: str
    degrees: Degrees
    card: Card
    weights_bytes: int
    """On this rank."""
    kv_bytes_per_token: int
    """On this rank, over all groups whose cache grows with the context."""
    context: int
    sequences: int
    """Requests at the same time that the engine is started for (`--max-num-seqs`, `--parallel`)."""
    batched_tokens: int
    version: str
    eager: bool = False
    utilization: float | None = None
    stage: int | None = None
    """Which pipeline stage it is in, from 0; None for one that is as full as the fullest and has the last one's sampler."""
    drafting: bool = False
    """A drafter runs beside the model (speculative decoding)."""
    drafts: str = ""
    """Who drafts: `ngram`, `mtp`, `draft`; empty where nobody does, or nobody said."""
    cache_type: str = "auto"
    """The type of a cached value, by the engine's own word for it."""
    group: int = GROUP
    """Values of one input column that share a scale, in a quantization by groups; 0 where a whole column does."""
    largest_graph: int | None = None
    """The largest batch that graphs are captured for; None leaves it to the engine."""
    cache_bytes: int | None = None
    """What the cache is told to be, whatever is left; None where it gets what is left."""
    offloaded_bytes: int = 0
    """Of this rank's weights, those that lie in host memory (`--cpu-offload-gb`); `weights_bytes` is without them."""
    constants: Mapping[str, tuple[Constant, ...]] = field(default_factory=dict)
    """The engine's constants of the catalog, by name: data, with the versions they hold for and their sources."""

    @property
    def samples(self) -> bool:
        """Whether it computes logits, as the last stage does."""
        return self.stage in (None, self.degrees.pipeline - 1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the engine may claim of the device, and what it needs there beside weights and cache."""

    budget: Amount
    activation: Amount
    graphs: Amount
    runtime: Amount
    """Libraries, the device's context, communication buffers."""
    graphs_inside: bool
    """Whether the engine counts its graphs inside the budget; else they must fit into what the budget leaves free."""
    largest_graph: int = 0
    """The largest batch that graphs are captured for; 0 where the engine's choice is not known, or it captures none."""
