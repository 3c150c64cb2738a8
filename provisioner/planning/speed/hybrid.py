"""A model laid over cards and host memory: which layers or experts go where, and how fast that can be.

llama.cpp splits in two ways. By layers (`-ngl`), what does not fit runs on the host with all its weights. By experts
(`--n-cpu-moe N`), attention and all else that every token needs stays on the cards, and the host holds the experts of the
first N layers, of which a token reads few.
"""

from collections.abc import Callable

from provisioner.model.catalog import Geometry
from provisioner.model.record import dataclass, replace
from provisioner.model.weights import TensorBytes
from provisioner.planning.asked.amounts import size
from provisioner.planning.speed.bandwidth import TOKEN_SECONDS
from provisioner.planning.speed.capacity import Expected
from provisioner.planning.speed.host_speed import HostSpeed
from provisioner.planning.speed.rates import Span
from provisioner.planning.speed.roofline import Rates, Reads, reads_of

LAYERS, EXPERTS = "layers", "experts"


@dataclass(frozen=True, slots=True)
class Load:
    """What has to be laid somewhere. `kv_bytes` is the whole cache, of all requests."""

    reads: Reads
    expert_layers: int
    weights_bytes: int
    kv_bytes: int

    @property
    def host_table_bytes(self) -> int:
        """Input embeddings, which llama.cpp keeps on the host, and what else of the files no token reads."""
        return max(0, self.weights_bytes - self.reads.common_bytes - self.reads.expert_bytes)


def load_of(
    geometry: Geometry, weights_bytes: int, kv_bytes: int, precision: str, tensors: TensorBytes | None = None
) -> Load:
    """By what the files say of their tensors, else by the model's shape."""
    reads = reads_of(geometry, weights_bytes, precision)
    if tensors is not None and tensors.experts:
        table = tensors.embedding if tensors.output else 0
        reads = replace(reads, expert_bytes=tensors.experts, common_bytes=tensors.loaded - tensors.experts - table)
    return Load(
        reads=reads,
        expert_layers=geometry.layers - geometry.dense_layers if geometry.experts else 0,
        weights_bytes=weights_bytes,
        kv_bytes=kv_bytes,
    )


@dataclass(frozen=True, slots=True)
class Split:
    """`device_layers` are contiguous, card by card, as `--tensor-split` wants them; the output matrix counts as one layer."""

    by: str
    device_layers: tuple[int, ...]
    device_bytes: tuple[int, ...]
    host_layers: int
    """Layers of which the host holds all (`layers`), or the experts (`experts`)."""
    card_experts: int = 0
    """Of each layer whose experts the host has, how many are on a card all the same (KTransformers)."""


def tokens_per_second(
    load: Load, split: Split, spans: tuple[Span, ...], host: HostSpeed, context: float, kv_bytes_per_token: int
) -> Expected:
    """For one request; `kv_bytes_per_token` is over all layers. Cards and host work one after the other."""
    waits = host.layer_seconds
    levels: tuple[tuple[Callable[[Span], Rates], float, float, float], ...] = (
        (lambda span: span.slow, host.slow, host.hop_seconds.high, waits.high),
        (lambda span: span.usual, host.usual, host.hop_seconds.usual, waits.usual),
        (lambda span: span.fast, host.fast, host.hop_seconds.low, waits.low),
    )
    read = _token_bytes(load, split, context * kv_bytes_per_token)
    found = []
    for rates_of, host_rate, hop, wait in levels:
        seconds = sum(count / rates_of(span).bytes_per_second for count, span in zip(read.cards, spans, strict=True))
        seconds += read.host / host_rate + (split.host_layers * wait if split.by == LAYERS else 0.0)
        if spans:
            seconds += _hops(split) * hop
            seconds += load.reads.layers * rates_of(spans[0]).layer_seconds + rates_of(spans[0]).step_seconds
        else:
            seconds += TOKEN_SECONDS
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


def not_worth_fetching(
    rate: float, least: float, download_bytes: int, title: str, smaller_title: str, smaller_rate: float | None
) -> str:
    """What has to be said before so much is fetched; empty when the model is fast enough to talk to."""
    if rate >= least:
        return ""
    told = (
        f"{title} would make about {rate:.2g} tokens/s here by estimate, and less than {least:.2g} is no conversation"
    )
    if smaller_rate is None or smaller_rate <= rate:
        return f"{told}; {size(download_bytes)} would be fetched for it"
    return f"{told}: take {smaller_title} (about {smaller_rate:.2g} tokens/s) before {size(download_bytes)} are fetched"
