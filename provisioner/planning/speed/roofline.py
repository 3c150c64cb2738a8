"""How long one step takes: what is read against memory bandwidth, what is computed against FLOPS, and what is fixed."""

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass
from provisioner.planning.memory.checkpoints import parts, scheme_of

FLOPS_PER_PARAMETER = 2
"""A multiplication and an addition."""

REDUCTIONS_PER_LAYER = 2
"""A tensor group adds its parts up after attention and after the feed-forward part."""

STATE_BYTES = 2
"""Of one value of the hidden state, which is kept in 16 bits."""

DYNAMIC = "ud_"
DYNAMIC_COMMON_BITS = 5
"""Unsloth's dynamic quantizations press the experts alone: the rest keeps 4 or 6 bits (https://unsloth.ai/blog/deepseekr1-dynamic)."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What one copy of a model reads, computes and sends for its tokens."""

    layers: int
    hidden: int
    common_bytes: int
    """Weights that every token passes through."""
    expert_bytes: int
    """All routed experts; a token passes through `experts_used` of `experts` in each layer."""
    experts: int
    experts_used: int
    active_parameters: int
    pair_flops: int
    """For one pair of a token and an earlier one that it attends to, over all layers."""

    @property
    def shape(self) -> str:
        return "mixture" if self.experts else "dense"

    def touched_bytes(self, batch: float) -> float:
        """Weights that a step with so many tokens reads: each expert once, if any token chose it.

        Tokens are taken to choose their experts evenly and apart from each other.
        """
        return self.common_bytes + self.touched_expert_bytes(batch)

    def touched_expert_bytes(self, batch: float) -> float:
        if not self.experts:
            return 0.0
        missed: float = (1 - self.experts_used / self.experts) ** batch
        return self.expert_bytes * (1 - missed)


@dataclass(frozen=True, slots=True)
class Rates:
    """One device as one engine uses it: rates that are reached, and costs that do not shrink with them."""

    bytes_per_second: float
    decode_flops: float
    prefill_flops: float
    link_bytes_per_second: float
    """Between the ranks of a tensor group."""
    reduce_seconds: float
    """What one reduction over the group takes however small it is."""
    layer_seconds: float
    """Starting the kernels of one layer."""
    step_seconds: float
    token_seconds: float
    """The engine's own work for each token that it makes: scheduling, sampling, sending."""
    request_seconds: float
    """The same for each request: its HTTP, its template, its tokens."""
    arrival_seconds: float
    """What a request waits in all beside its computing, until its first token is there: time, but nobody's work."""
    decode_rows: float = 1.0
    """Tokens that a step takes the computing of at least: matrix kernels work on tiles of so many rows, however few are used."""


def reads_of(geometry: Geometry, weights_bytes: int, precision: str) -> Reads:
    """What a model reads, from its shape and the size of its weights."""
    known = parts(geometry)
    lookup = 0 if geometry.tied_embeddings else geometry.vocab * geometry.hidden
    unused = known.experts * (1 - geometry.experts_used / geometry.experts) if geometry.experts else 0
    common, experts = _split_bytes(geometry, weights_bytes, precision, lookup)
    return Reads(
        layers=geometry.layers,
        hidden=geometry.hidden,
        common_bytes=common,
        expert_bytes=experts,
        experts=geometry.experts,
        experts_used=geometry.experts_used,
        active_parameters=int(known.total - unused - lookup),
        pair_flops=_pair_flops(geometry),
    )


def _split_bytes(geometry: Geometry, weights_bytes: int, precision: str, lookup: int) -> tuple[int, int]:
    """Bytes that every token reads, and those of all experts.

    Of the input embeddings (`lookup` parameters) a token reads one row, and a drafter in the same files is not loaded.
    Where the precision does not say what is kept in how many bits, as in GGUF, or the files are smaller than it says (gpt-oss as
    GGUF has 8 bits where its checkpoint has 16), bytes are spread like parameters.
    """
    known = parts(geometry)
    scheme = scheme_of(geometry, precision)
    if scheme is None:
        each = weights_bytes / max(1, known.total)
        common = max(each, DYNAMIC_COMMON_BITS / 8) if precision.startswith(DYNAMIC) else each
        return int((known.total - known.experts - lookup) * common), int(
            weights_bytes - (known.total - known.experts) * common
        )
    experts = min(weights_bytes, int(known.experts * scheme.experts / 8))
    matrices = known.attention * scheme.attention + known.dense * scheme.dense
    common = int(matrices / 8) + 2 * (known.rest + known.tables - lookup)
    without = (known.total - known.experts - lookup) / max(1, known.total - known.experts)
    return min(common, int((weights_bytes - experts) * without)), experts


def _pair_flops(geometry: Geometry) -> int:
    full = max(0, geometry.kv_layers - geometry.sliding_layers)
    return FLOPS_PER_PARAMETER * full * geometry.heads * (geometry.key_length + geometry.value_length)


def decode_seconds(
    reads: Reads, rates: Rates, kv_bytes_per_token: float, batch: float, context: float, ranks: int = 1, data: int = 1
) -> float:
    """One step that makes a token for each of `batch` requests. `kv_bytes_per_token` is what one rank keeps.

    With data parallelism each of `data` groups has such a batch and all the common weights, and they share the experts.
    """
    experts = reads.touched_expert_bytes(batch * data) / (ranks * data)
    read = reads.common_bytes / ranks + experts + batch * context * kv_bytes_per_token
    computed = FLOPS_PER_PARAMETER * reads.active_parameters * max(batch, rates.decode_rows) / ranks
    device = max(read / rates.bytes_per_second, computed / rates.decode_flops)
    return device + reduction_seconds(reads, rates, batch, ranks) + _fixed(reads, rates) + batch * rates.token_seconds


def first_token_seconds(reads: Reads, rates: Rates, prompt: float, ranks: int = 1) -> float:
    """The prompt of one request through the model, alone: computed, and no faster than the weights are read once."""
    read = reads.touched_bytes(prompt) / ranks / rates.bytes_per_second
    computed = max(prompt_seconds(reads, rates, prompt, ranks), read)
    return computed + _fixed(reads, rates) + rates.arrival_seconds


def prompt_seconds(reads: Reads, rates: Rates, prompt: float, ranks: int = 1) -> float:
    """What a prompt adds to the steps that it shares with others' tokens: those read the weights anyhow."""
    computed = FLOPS_PER_PARAMETER * reads.active_parameters * prompt + reads.pair_flops * prompt * prompt / 2
    return computed / ranks / rates.prefill_flops + reduction_seconds(reads, rates, prompt, ranks)


def reduction_seconds(reads: Reads, rates: Rates, tokens: float, ranks: int) -> float:
    """Around a ring each rank sends all but one share of the states twice."""
    if ranks == 1:
        return 0.0
    sent = 2 * (ranks - 1) / ranks * tokens * reads.hidden * STATE_BYTES
    return reads.layers * REDUCTIONS_PER_LAYER * (rates.reduce_seconds + sent / rates.link_bytes_per_second)


def _fixed(reads: Reads, rates: Rates) -> float:
    return reads.layers * rates.layer_seconds + rates.step_seconds
