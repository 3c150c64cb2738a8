"""The words of a plan turned into the words of the roofline: what to expect of a layout, or of a split over cards and host."""

from collections.abc import Iterable

from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.load import Load
from provisioner.model.spec import USERS_PER_REQUEST
from provisioner.model.speed import SpeedRow
from provisioner.planning.speed.bandwidth import Speed
from provisioner.planning.speed.bandwidth import tokens_per_second as tokens_by_size
from provisioner.planning.speed.capacity import CHAT, Copies, Estimate, Expected, Work, capacity
from provisioner.planning.speed.host_speed import HostSpeed
from provisioner.planning.speed.hybrid import Load as Whole
from provisioner.planning.speed.hybrid import Split, tokens_per_second
from provisioner.planning.speed.rates import Situation, Span, architecture_of, span_of
from provisioner.planning.speed.roofline import reads_of

SHAPELESS = "the model's shape is not known, so neither is what a token reads"


WHOLE = 10
"""Tokens a second from which on nobody wants to know a tenth."""


def expect(
    rows: Iterable[SpeedRow],
    card: AcceleratorEntry,
    engine: str,
    load: Load,
    checkpoint_bytes: int,
    kv_tokens: int,
    link: str,
    replicas: int = 1,
    work: Work = CHAT,
    ratio: int = USERS_PER_REQUEST,
) -> Estimate | str:
    """Of `replicas` copies like this one, each with a cache of `kv_tokens`; or the reason why nothing can be said.

    `checkpoint_bytes` are of the whole model, `link` is between the ranks of a tensor group (`nvlink`, `xgmi`, `hccs`, `pcie`,
    `network`).
    """
    degrees = load.degrees
    reads = reads_of(load.geometry, checkpoint_bytes, load.precision)
    if not reads.common_bytes:
        return SHAPELESS
    between = link if degrees.tensor > 1 else "none"
    mode = "eager" if load.eager else "graphs"
    situation = Situation(engine, load.version, reads.shape, load.precision, architecture_of(card), between, mode)
    span = span_of(rows, card, situation)
    if isinstance(span, str):
        return span
    copies = Copies(
        reads=reads,
        span=span,
        kv_bytes_per_token=load.kv_bytes_per_token * degrees.pipeline,
        kv_tokens=kv_tokens,
        sequences=load.sequences,
        tensor=degrees.tensor,
        pipeline=degrees.pipeline,
        data=degrees.data,
        replicas=replicas,
    )
    return capacity(copies, load.context, work, ratio)


def expect_split(
    rows: Iterable[SpeedRow],
    cards: tuple[AcceleratorEntry, ...],
    engine: str,
    precision: str,
    whole: Whole,
    split: Split,
    host: HostSpeed,
    context: int,
    kv_bytes_per_token: int,
) -> Speed | str:
    """Of one request that has filled half its context, on these cards and the host; or why nothing can be said."""
    ranged = split_range(rows, cards, engine, precision, whole, split, host, context, kv_bytes_per_token)
    if isinstance(ranged, str):
        return ranged
    return _stated(*ranged)


def expect_by_size(bytes_per_token: float, host: HostSpeed) -> Speed:
    """On the host alone, of a model of which no more is known than what a token reads."""
    low, usual, high = (tokens_by_size(bytes_per_token, rate) for rate in (host.slow, host.usual, host.fast))
    return _stated(Expected(low, usual, high), host.basis)


def _stated(found: Expected, basis: str) -> Speed:
    return Speed(found.usual, f"estimate, {_figure(found.low)} to {_figure(found.high)}: {basis}")


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= WHOLE else f"{rate:.2g}"


def split_range(
    rows: Iterable[SpeedRow],
    cards: tuple[AcceleratorEntry, ...],
    engine: str,
    precision: str,
    whole: Whole,
    split: Split,
    host: HostSpeed,
    context: int,
    kv_bytes_per_token: int,
) -> tuple[Expected, str] | str:
    """The same as three figures, and what they rest on."""
    if not whole.reads.common_bytes:
        return SHAPELESS
    known, spans = tuple(rows), []
    kinds = {card.id: card for card in cards}
    rates = {
        name: span_of(known, card, Situation(engine, "", whole.reads.shape, precision, architecture_of(card)))
        for name, card in kinds.items()
    }
    for card in cards:
        span = rates[card.id]
        if not isinstance(span, Span):
            return span
        spans.append(span)
    found = tokens_per_second(whole, split, tuple(spans), host, context / 2, kv_bytes_per_token)
    places = dict.fromkeys(span.basis for span in spans)
    if not places:
        return found, host.basis
    return found, "; ".join((*places, *((f"host: {host.basis}",) if split.host_layers else ())))
