"""A model laid over cards and host memory: which layers or experts go where, and how fast that can be.

llama.cpp splits in two ways. By layers (`-ngl`), what does not fit runs on the host with all its weights. By experts
(`--n-cpu-moe N`), attention and all else that every token needs stays on the cards, and the host holds the experts of the
first N layers, of which a token reads few.
"""

from collections.abc import Callable

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass
from provisioner.planning.amounts import size
from provisioner.planning.capacity import Expected
from provisioner.planning.host_speed import HostSpeed
from provisioner.planning.rates import Span
from provisioner.planning.roofline import Rates, Reads, reads_of
from provisioner.planning.sizing import CUDA_BYTES, CUDA_HOST_BYTES, Need

LAYERS, EXPERTS = "layers", "experts"


@dataclass(frozen=True, slots=True)
class Load:
    """What has to be laid somewhere. `kv_bytes` is the whole cache, of all requests."""

    reads: Reads
    expert_layers: int
    weights_bytes: int
    kv_bytes: int
    activation_bytes: int
    """On each card that computes, and on the host."""
    device_overhead_bytes: int
    host_overhead_bytes: int

    @property
    def host_table_bytes(self) -> int:
        """Input embeddings, which llama.cpp keeps on the host."""
        return max(0, self.weights_bytes - self.reads.common_bytes - self.reads.expert_bytes)


def load_of(need: Need, geometry: Geometry, precision: str) -> Load:
    """For llama.cpp and what is built on it."""
    return Load(
        reads=reads_of(geometry, need.weights_bytes, precision),
        expert_layers=geometry.layers - geometry.dense_layers if geometry.experts else 0,
        weights_bytes=need.weights_bytes,
        kv_bytes=need.kv_bytes,
        activation_bytes=need.activation_bytes,
        device_overhead_bytes=CUDA_BYTES,
        host_overhead_bytes=need.process_bytes + CUDA_HOST_BYTES,
    )


@dataclass(frozen=True, slots=True)
class CardRoom:
    device: str
    budget_bytes: int


@dataclass(frozen=True, slots=True)
class Split:
    """`device_layers` are contiguous, card by card, as `--tensor-split` wants them; the output matrix counts as one layer."""

    by: str
    device_layers: tuple[int, ...]
    device_bytes: tuple[int, ...]
    host_layers: int
    """Layers of which the host holds all (`layers`), or the experts (`experts`: the N of `--n-cpu-moe`)."""
    host_bytes: int
    problem: str = ""
    card_experts: int = 0
    """Of each layer whose experts the host has, how many are on a card all the same (KTransformers)."""

    @property
    def n_gpu_layers(self) -> int:
        return sum(self.device_layers)


def by_layers(load: Load, cards: tuple[CardRoom, ...], host_budget: int) -> Split:
    """As many layers on the cards as fit, the rest with all that belongs to them on the host."""
    everything = load.reads.layers + 1
    each = _layer_bytes(load, with_experts=True)
    counts, left = [], everything
    for card in cards:
        room = card.budget_bytes - load.activation_bytes - load.device_overhead_bytes
        counts.append(min(left, max(0, int(room // each))))
        left -= counts[-1]
    taken = tuple(int(count * each) + _card_overhead(load, count) for count in counts)
    host = int(left * each) + load.host_table_bytes + load.host_overhead_bytes + (load.activation_bytes if left else 0)
    return Split(LAYERS, tuple(counts), taken, left, host, _short(host, host_budget, f"{left} layers"))


def by_experts(load: Load, cards: tuple[CardRoom, ...], host_budget: int) -> Split | str:
    """Everything but experts on the cards, and of those as many as fit; the reason where even the rest does not fit."""
    if not load.expert_layers:
        return "the model has no experts to be offloaded"
    for host_layers in range(load.expert_layers + 1):
        counts = _filled(load, cards, host_layers)
        if counts is not None:
            return _expert_split(load, counts, host_layers, host_budget)
    room = sum(card.budget_bytes for card in cards)
    needed = load.reads.common_bytes + load.kv_bytes
    return (
        f"what every token needs ({size(load.reads.common_bytes)}) and the KV cache ({size(load.kv_bytes)}), "
        f"{size(needed)} in all, do not fit on the cards: {size(room)} to plan with"
    )


def _filled(load: Load, cards: tuple[CardRoom, ...], host_layers: int) -> tuple[int, ...] | None:
    """Layers card by card, in order; None when they do not all find room with so many layers' experts on the host."""
    pending = _layer_sizes(load, host_layers)
    counts = []
    for card in cards:
        room: float = card.budget_bytes - load.activation_bytes - load.device_overhead_bytes
        count = 0
        while pending and pending[0] <= room:
            room -= pending.pop(0)
            count += 1
        counts.append(count)
    return None if pending else tuple(counts)


def _layer_sizes(load: Load, host_layers: int) -> list[float]:
    """Bytes on a card of each layer and of the output matrix; dense layers come first in models that mix the two kinds."""
    common, experts = _layer_bytes(load, with_experts=False), load.reads.expert_bytes / load.expert_layers
    dense = load.reads.layers - load.expert_layers
    kept = [common + (experts if at >= dense + host_layers else 0) for at in range(load.reads.layers)]
    return [*kept, common]


def _expert_split(load: Load, counts: tuple[int, ...], host_layers: int, host_budget: int) -> Split:
    sizes, taken, at = _layer_sizes(load, host_layers), [], 0
    for count in counts:
        taken.append(int(sum(sizes[at : at + count])) + _card_overhead(load, count))
        at += count
    experts = load.reads.expert_bytes * host_layers // load.expert_layers
    computing = load.activation_bytes if host_layers else 0
    host = experts + load.host_table_bytes + load.host_overhead_bytes + computing
    problem = _short(host, host_budget, f"the experts of {host_layers} layers")
    return Split(EXPERTS, counts, tuple(taken), host_layers, host, problem)


def _layer_bytes(load: Load, *, with_experts: bool) -> float:
    weights = load.reads.common_bytes + (load.reads.expert_bytes if with_experts else 0)
    return (weights + load.kv_bytes) / (load.reads.layers + 1)


def _card_overhead(load: Load, layers: int) -> int:
    return load.activation_bytes + load.device_overhead_bytes if layers else 0


def _short(needed: int, budget: int, what: str) -> str:
    if needed <= budget:
        return ""
    return f"{what} need {size(needed)} of host memory, {size(budget)} to plan with, {size(needed - budget)} short"


def tokens_per_second(
    load: Load, split: Split, spans: tuple[Span, ...], host: HostSpeed, context: float, kv_bytes_per_token: int
) -> Expected:
    """For one request; `kv_bytes_per_token` is over all layers. Cards and host work one after the other."""
    levels: tuple[tuple[Callable[[Span], Rates], float, float], ...] = (
        (lambda span: span.slow, host.slow, host.hop_seconds.high),
        (lambda span: span.usual, host.usual, host.hop_seconds.usual),
        (lambda span: span.fast, host.fast, host.hop_seconds.low),
    )
    read = _token_bytes(load, split, context * kv_bytes_per_token)
    found = []
    for rates_of, host_rate, hop in levels:
        seconds = sum(count / rates_of(span).bytes_per_second for count, span in zip(read.cards, spans, strict=True))
        seconds += read.host / host_rate + _hops(split) * hop
        if spans:
            seconds += load.reads.layers * rates_of(spans[0]).layer_seconds + rates_of(spans[0]).step_seconds
        found.append(1 / seconds)
    return Expected(*found)


def _hops(split: Split) -> int:
    """Whole layers on the host follow each other; experts on the host are a way there and back in each layer."""
    return min(1, split.host_layers) if split.by == LAYERS else split.host_layers


@dataclass(frozen=True, slots=True)
class TokenBytes:
    """What one token reads, card by card and on the host."""

    cards: tuple[float, ...]
    host: float


def _token_bytes(load: Load, split: Split, cache: float) -> TokenBytes:
    reads, everything = load.reads, load.reads.layers + 1
    experts, common = reads.touched_expert_bytes(1), reads.common_bytes + cache
    if split.by == LAYERS:
        cards = tuple((common + experts) * count / everything for count in split.device_layers)
        return TokenBytes(cards, common + experts - sum(cards))
    away = 1 - split.card_experts / max(1, reads.experts)
    on_host = experts * away * split.host_layers / load.expert_layers
    on_cards = common + experts - on_host
    total = max(1, sum(split.device_bytes))
    return TokenBytes(tuple(on_cards * count / total for count in split.device_bytes), on_host)


def rule_of_thumb(vram_gb: float, file_gb: float, layers: int = 61) -> int:
    """How many layers of R1 the dynamic quantizations' makers would put on cards, for comparison with `by_layers`.

    Their formula, floor(VRAM / file x layers - 4), knows no cache and no buffers. It gives 11 of the 12 cells of their table
    (https://unsloth.ai/blog/deepseekr1-dynamic); for 2.51 bits on two cards of 80 GB it gives 42, and the table has 32.
    """
    return max(0, min(layers, int(vram_gb / file_gb * layers - 4)))


def not_worth_fetching(
    rate: float, least: float, download_bytes: int, title: str, smaller_title: str, smaller_rate: float | None
) -> str:
    """What has to be said before so much is fetched; empty when the model is fast enough to talk to."""
    if rate >= least:
        return ""
    told = f"{title} would make about {rate:.2g} tokens/s here, and less than {least:.2g} is no conversation"
    if smaller_rate is None or smaller_rate <= rate:
        return f"{told}; {size(download_bytes)} would be fetched for it"
    return f"{told}: take {smaller_title} (about {smaller_rate:.2g} tokens/s) before {size(download_bytes)} are fetched"
