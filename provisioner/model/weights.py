"""What weights are at hand: in the store, under the folder that the operator named, and what the hub offers."""

from collections.abc import Mapping, Sequence

from provisioner.model.catalog import Geometry
from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass, field


@dataclass(frozen=True, slots=True)
class TensorBytes:
    """The tensors of a checkpoint, summed by how engines cut them over devices."""

    embedding: int = 0
    output: int = 0
    """The output projection; 0 where it is the embedding once more."""
    attention: int = 0
    """Projections of attention, linear attention and state spaces, which are divided over the ranks of a tensor group."""
    latent: int = 0
    """The projections down to the compressed rows of latent attention, and indexers: whole on every rank."""
    dense: int = 0
    """Feed-forward layers that every token passes."""
    experts: int = 0
    shared_experts: int = 0
    small: int = 0
    """Norms, routers and what else every rank holds whole."""
    vision: int = 0
    """Towers for images and sound, and what joins them to the language model."""
    draft: int = 0
    """The model's own drafter for speculative decoding, which engines leave out unless asked."""

    @property
    def total(self) -> int:
        return (
            self.embedding + self.output + self.attention + self.latent + self.dense
            + self.experts + self.shared_experts + self.small + self.vision + self.draft
        )  # fmt: skip

    @property
    def loaded(self) -> int:
        """What an engine takes into memory when it is not asked for the drafter."""
        return self.total - self.draft


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """What a `config.json` says of the model beside it."""

    architecture: str
    """The class that it names (`Qwen3ForCausalLM`), else its model type."""
    geometry: Geometry
    precision: str
    """As in `Checkpoint.precision`; empty where the file does not say it."""
    group: int
    """Values that share one scale, in a quantization by groups; 0 for none."""
    context: int
    """The longest context that it was trained or scaled for; 0 where the file does not say it."""
    known: bool
    """False for a model type whose own rules are not known here: read by the keys that most types share."""
    own_code: bool = False
    """It brings Python code of its own, which is never run here; an engine serves it if it knows the architecture itself."""


@dataclass(frozen=True, slots=True)
class CheckpointFolder:
    """A folder of `config.json` and safetensors, on this machine or at a hub; nothing but headers was read of it."""

    path: str
    """The folder, or `owner/name` at a hub."""
    source: str
    """The hub that it was read from; empty for a folder of this machine."""
    title: str
    files: tuple[WeightFile, ...]
    """The weight files and the small ones that an engine needs beside them."""
    config: ConfigFacts | Unknown
    tensors: TensorBytes | Unknown
    """Bytes by kind; Unknown with the reason where the headers contradict themselves or a part is missing."""
    parameters: int = 0
    active_parameters: int = 0
    """Parameters that one token passes through."""
    left_out: tuple[str, ...] = ()
    """Files beside them that can run code when they are loaded: never taken in."""

    @property
    def problem(self) -> str:
        """Why it cannot be served; empty when it can."""
        return next((part.reason for part in (self.config, self.tensors) if isinstance(part, Unknown)), "")


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
    geometry: Geometry | None = None
    """The shape of the model, with what only this architecture's own keys say of it."""
    tensors: TensorBytes = TensorBytes()
    """Bytes of this one file by kind."""
    expert_parameters: int = 0
    """Of this one file."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A weight file of this machine. `sha256` is None until the store has hashed it."""

    path: str
    size_bytes: int
    sha256: str | None
    header: GgufHeader | Unknown


@dataclass(frozen=True, slots=True)
class Adapter:
    """Low-rank matrices beside a model's own (LoRA), which answer under a name of their own; headers alone were read of it."""

    name: str
    path: str
    files: tuple[WeightFile, ...]
    bytes: int
    rank: int = 0
    """The largest of its pairs; 0 where the file was not looked into, as GGUF files are not."""
    base: str = ""
    """The model that it says it was made for."""
    layers: int = 0
    """As many as the model has at least."""
    modules: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By the name of the matrix that it changes: how many values go in, and how many come out."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """`stored` maps the sha256 of each blob in the store to its path; `offered` is what the hub said, if it was asked."""

    local: tuple[LocalFile, ...] = ()
    stored: Mapping[str, str] | None = None
    offered: tuple[WeightFile, ...] | Unknown = ()
    folders: tuple[CheckpointFolder, ...] = ()
    """Checkpoints as safetensors: below the operator's folder, or at the hub that was asked for this one."""
    source: str = ""
    """The hub or mirror that the operator prefers."""
    adapters: tuple[Adapter, ...] = ()
    """Those that the operator named."""
    merged: Mapping[str, str] = field(default_factory=dict)
    """By `key_of_parts`, the hash of what was merged of them; those that are in the store."""

    def holds(self, sha256: str | None) -> bool:
        return sha256 is not None and self.stored is not None and sha256 in self.stored


def name_of_whole(part: str) -> str:
    """`x.gguf` of `x-00001-of-00003.gguf`."""
    stem, _, _ = part[: -len(".gguf")].rpartition("-of-")
    return f"{stem.rpartition('-')[0]}.gguf"


def key_of_parts(hashes: Sequence[str]) -> str:
    """What the parts of a model are known by together, before anybody knows the hash of the whole."""
    from hashlib import sha256  # Few models come in parts.

    return sha256("\n".join(hashes).encode()).hexdigest()
