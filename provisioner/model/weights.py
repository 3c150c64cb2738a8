"""What weights are at hand: in the store, under the folder that the operator named, and what the hub offers."""

from collections.abc import Mapping

from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says of itself. A count that the file does not give is 0, a name that it does not give is ""."""

    architecture: str
    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    kv_heads: int
    """The largest of all layers, where layers differ."""
    kv_layers: int
    """Layers whose cache grows with the context; fewer than `layers` in hybrid models."""
    key_length: int
    value_length: int
    kv_lora_rank: int
    """Above 0 for latent attention (MLA): keys and values share one compressed row a layer."""
    rope_dimensions: int
    sliding_window: int
    experts: int
    experts_used: int
    context: int
    """The context that the model was trained for."""
    vocab: int
    quantization: str
    """As in file names, lower case: `q4_k_m`, `q8_0`, `f16`, `bf16`."""
    parameters: int
    shard: int
    """Which file of a split model this is, from 0."""
    shards: int
    """How many files the model is split into; 1 for a model in one file."""
    tensor_bytes: int
    """Bytes of the tensors in this one file."""
    chat_template: str | None


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A weight file of this machine. `sha256` is None until the store has hashed it."""

    path: str
    size_bytes: int
    sha256: str | None
    header: GgufHeader | Unknown


@dataclass(frozen=True, slots=True)
class Shelf:
    """`stored` maps the sha256 of each blob in the store to its path; `offered` is what the hub said, if it was asked."""

    local: tuple[LocalFile, ...] = ()
    stored: Mapping[str, str] | None = None
    offered: tuple[WeightFile, ...] | Unknown = ()

    def holds(self, sha256: str | None) -> bool:
        return sha256 is not None and self.stored is not None and sha256 in self.stored
