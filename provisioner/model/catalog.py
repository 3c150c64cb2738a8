"""What is known beforehand: models and accelerators, each entry with its source."""

from collections.abc import Mapping

from provisioner.model.record import dataclass, field

CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of a model, as far as memory depends on it. A part that a model does not have is 0."""

    kind: str
    layers: int
    kv_layers: int
    """Layers whose cache grows with the context."""
    hidden: int = 0
    feed_forward: int = 0
    heads: int = 0
    kv_heads: int = 0
    key_length: int = 0
    value_length: int = 0
    vocab: int = 0
    kv_lora_rank: int = 0
    rope_dimensions: int = 0
    q_lora_rank: int = 0
    experts: int = 0
    experts_used: int = 0
    shared_experts: int = 0
    expert_feed_forward: int = 0
    expert_hidden: int = 0
    """The width that routed experts work on, where it is not the hidden one; 0 where it is."""
    router_bias: bool = False
    dense_layers: int = 0
    sliding_window: int = 0
    sliding_layers: int = 0
    """How many of `kv_layers` keep no more than the window."""
    sliding_kv_heads: int = 0
    """Of the sliding layers, where they differ from those of full attention; 0 where they do not. Their length likewise."""
    sliding_key_length: int = 0
    sliding_value_length: int = 0
    keys_as_values: bool = False
    """Full attention without a projection of its own for values (Gemma 4)."""
    tied_embeddings: bool = False
    qkv_bias: bool = False
    qk_norm: bool = False
    linear_layers: int = 0
    """Layers that keep a state of fixed size for each request instead of a cache (Mamba, gated delta nets)."""
    linear_state_bytes: int = 0
    """Of one such layer and one request, as engines keep it; 0 where it is not known."""
    linear_parameters: int = 0
    """Of the mixer of one linear layer: its projections, convolution and decay."""
    output_gate: bool = False
    """Full attention whose query projection makes a gate for the output as well, so that it is twice as wide."""
    ungated: bool = False
    """A feed-forward part of two matrices instead of three."""
    index_dimensions: int = 0
    """Of the indexer that sparse attention keeps beside its cache (DeepSeek V3.2), per layer and token."""
    index_heads: int = 0
    index_layers: int = 0
    """Layers that have an indexer of their own; 0 where all have."""
    heavy_layers: int = 0
    """Layers of compressed sparse attention (DeepSeek V4) that keep one row for 128 tokens; those with an indexer keep one for 4."""
    draft_layers: int = 0
    """Layers of the model's own drafter for speculative decoding; engines do not load them unless asked."""
    draft_tables: bool = False
    """The files hold the embeddings and the output head a second time, for the drafter."""
    norms: int = 2
    """Norms of the hidden width in each layer."""
    unreplicated_heads: bool = False
    """Its class in vLLM divides key-value heads among ranks and has none for the ranks beyond their number (gpt-oss)."""
    parameters_outside_layers: int = 0
    """Of a vision or audio tower, which every rank holds or not as the engine decides; 0 for text models."""


@dataclass(frozen=True, slots=True)
class GgufOffer:
    """One precision of a model as GGUF: its file name (of the whole, where it is split) and its size."""

    precision: str
    file: str
    bytes: int
    exact: bool
    """False for a size that was published rounded; the hub's own figure replaces it."""
    repositories: Mapping[str, str]
    source: str
    sha256: str | None = None
    made: bool = False
    """The program makes this file itself."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One precision of a model as safetensors, as the hub has it."""

    precision: str
    """`bf16`, `fp16`, `fp8` (per channel or tensor), `fp8_block128`, `int8`, `awq`, `gptq`, `w4a16`, `mxfp4`, `nvfp4`, `int4`."""
    bytes: int
    repositories: Mapping[str, str]
    source: str
    exact: bool = False
    """True for the sum of real file sizes, False for a figure that was published rounded or was computed."""
    group: int = 0
    """Values that share one scale, in a quantization by groups; 0 for none."""
    vendors: tuple[str, ...] = ()
    """Whose cards it was converted for, where others do not load it."""
    methods: Mapping[str, str] = field(default_factory=dict)
    """By engine what it is told that the files are (`--quantization`), where it does not read it from them."""
    verified: bool = True


@dataclass(frozen=True, slots=True)
class OllamaOffer:
    tag: str
    bytes: int
    source: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    id: str
    title: str
    repositories: Mapping[str, str]
    architecture: Geometry
    parameters: int
    native: str
    """The precision that the makers publish."""
    verified: bool
    """The makers' own configuration was read; False where it was taken from a second source."""
    source: str
    context: int = 0
    """The longest context that the model was trained for; 0 where it is not known."""
    task: str = CHAT
    """What it answers with: `chat`; `embed`, vectors of texts; `rerank`, how well a text answers a question."""
    active_parameters: int | None = None
    """Parameters that one token passes through, in a mixture of experts."""
    parameters_rounded: bool = False
    weights_bytes: Mapping[str, int] = field(default_factory=dict)
    kv_bytes_per_token: Mapping[str, int] = field(default_factory=dict)
    """Published or measured figures: what the arithmetic is held against."""
    parallel: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    gguf: tuple[GgufOffer, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    aliases: tuple[str, ...] = ()
    """Other names that people and hubs use for the same weights' shape, as they write them."""
    ollama: OllamaOffer | None = None
    notes: tuple[str, ...] = ()
    dialect: str = ""
    """How it writes thoughts and calls of tools; empty where nobody said."""

    def checkpoint(self, precision: str, makers: frozenset[str] | None = None) -> Checkpoint | None:
        """The one for cards of these makers alone before the one for all cards; any where nobody says whose cards they are."""
        found = [one for one in self.checkpoints if one.precision == precision and _loads(one, makers)]
        return min(found, key=lambda one: bool(one.vendors) == (makers is None), default=None)

    def offer(self, precision: str) -> GgufOffer | None:
        return next((offer for offer in self.gguf if offer.precision == precision), None)


def _loads(checkpoint: Checkpoint, makers: frozenset[str] | None) -> bool:
    """Whether cards of all of these makers load it; processors, which are nobody's cards, load no conversion for one maker."""
    return makers is None or not checkpoint.vendors or (bool(makers) and makers <= set(checkpoint.vendors))


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a family of models writes what is no plain answer, in the words of the engines that read it."""

    id: str
    flags: Mapping[str, Mapping[str, str]]
    """By engine: flags and their values."""
    source: Mapping[str, str]
    """By engine: where they are said to be right."""
    since: Mapping[str, str] = field(default_factory=dict)
    """By engine: the oldest release that has these; an engine that is not named has them in its newest alone."""
    thinking: str = ""
    """The dialect of weights of the same shape whose name says that they think."""


@dataclass(frozen=True, slots=True)
class AcceleratorEntry:
    id: str
    vendor: str
    name: str
    source: str
    confidence: str
    """A: a primary source was read; B: a second one; C: from memory."""
    memory_bytes: int | None = None
    usable_bytes: int | None = None
    """What a program can really get, as engines have logged it."""
    bandwidth_bytes_per_second: int | None = None
    compute_capability: str | None = None
    architecture: str | None = None
    tflops: Mapping[str, float] = field(default_factory=dict)
    link: str | None = None
    driver_names: tuple[str, ...] = ()
    """What else its driver or tool calls it; people's names for it are `id` and `name`."""
    fp8_native: bool | None = None
    """Whether it multiplies in 8-bit floats; where not, weights in FP8 are unpacked first, or refused."""
    link_bytes_per_second: int | None = None
    """To the other devices together, both ways, as makers state it."""
    tdp_watts: int | None = None
    form: str | None = None
    """SXM, OAM or PCIe."""
    shares_host_memory: bool = False
    """It has no memory of its own: processors and device use the same, of which `usable_bytes` is all that there is."""
