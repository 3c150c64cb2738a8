"""How many people a plan serves and how fast: always an estimate with its basis, until the machine itself was measured."""

from collections.abc import Callable
from math import isinf

from provisioner.model.record import dataclass
from provisioner.model.spec import USERS_PER_REQUEST
from provisioner.planning.speed.rates import Span
from provisioner.planning.speed.roofline import Rates, Reads, decode_seconds, first_token_seconds, prompt_seconds


@dataclass(frozen=True, slots=True)
class Work:
    """What one request is like on average."""

    prompt: int
    output: int

    @property
    def context(self) -> float:
        """How many tokens lie behind the request when it makes its middle token."""
        return self.prompt + self.output / 2


CHAT = Work(prompt=220, output=200)
"""The mean of the ShareGPT conversations that `vllm bench serve` sends: 217 tokens in and 201 out in GPUStack's runs
(gpustack/gpustack@47277d7, docs/performance-lab)."""


@dataclass(frozen=True, slots=True)
class Copies:
    """What serves: so many copies of a model, each spread over a tensor group and stages."""

    reads: Reads
    span: Span
    kv_bytes_per_token: float
    """On one rank, over the layers of all stages."""
    kv_tokens: int
    """That the cache of one copy holds."""
    sequences: int
    """Requests that one copy takes at a time."""
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    """Groups of ranks within a copy that take requests of their own and share the experts."""
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Expected:
    low: float
    usual: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`first_token_seconds` is None where the device's FLOPS are not known."""

    concurrent_at_context: int
    users: int
    batch: int
    """Requests at a time that the speeds are for."""
    alone_tokens_per_second: Expected
    """Of a request that has the machine for itself."""
    stream_tokens_per_second: Expected
    """Of each request among `batch`, while it makes tokens."""
    total_tokens_per_second: Expected
    """Of all requests together, their prompts being computed in between."""
    first_token_seconds: Expected | None
    basis: str


def concurrent(kv_tokens: int, context: int, sequences: int, replicas: int = 1) -> int:
    """Requests that all fill their context at the same time; 0 where not even one can."""
    return min(kv_tokens // max(1, context), sequences) * replicas


def users(concurrent_requests: int, ratio: int = USERS_PER_REQUEST) -> int:
    return concurrent_requests * ratio


def capacity(copies: Copies, context: int, work: Work = CHAT, ratio: int = USERS_PER_REQUEST) -> Estimate:
    """Speeds are for as many requests of this kind of work as the cache holds and the engine takes."""
    at_context = concurrent(copies.kv_tokens, context, copies.sequences, copies.replicas)
    batch = max(1, concurrent(copies.kv_tokens, work.prompt + work.output, copies.sequences, copies.replicas))
    return Estimate(
        concurrent_at_context=at_context,
        users=users(at_context, ratio),
        batch=batch,
        alone_tokens_per_second=_expected(copies, lambda rates: 1 / stream_seconds(copies, rates, 1, work)),
        stream_tokens_per_second=_expected(copies, lambda rates: 1 / stream_seconds(copies, rates, batch, work)),
        total_tokens_per_second=_expected(copies, lambda rates: total_rate(copies, rates, batch, work)),
        first_token_seconds=_first_token(copies, work),
        basis=f"estimate: {copies.span.basis}; {work.prompt} tokens in, {work.output} out; not measured here",
    )


def stream_seconds(copies: Copies, rates: Rates, batch: float, work: Work) -> float:
    """From one token of a request to its next, while `batch` requests are shared by all copies.

    A token passes all stages one after the other; each stage works on its own part of the batch at the same time.
    """
    each = max(1.0, batch / copies.replicas / copies.pipeline / copies.data)
    cache = copies.kv_bytes_per_token
    return decode_seconds(copies.reads, rates, cache, each, work.context, copies.tensor, copies.data)


def total_rate(copies: Copies, rates: Rates, batch: float, work: Work) -> float:
    """Tokens per second of all requests: a copy's time goes into its requests' prompts and into its steps."""
    each = batch / copies.replicas
    prompts = prompt_seconds(copies.reads, rates, work.prompt, copies.tensor) / copies.pipeline / copies.data
    steps = work.output * stream_seconds(copies, rates, batch, work) / each
    return copies.replicas * work.output / (rates.request_seconds + prompts + steps)


def _first_token(copies: Copies, work: Work) -> Expected | None:
    if isinf(copies.span.usual.prefill_flops):
        return None
    span = copies.span
    found = [
        first_token_seconds(copies.reads, rates, work.prompt, copies.tensor)
        for rates in (span.fast, span.usual, span.slow)
    ]
    return Expected(*found)


def _expected(copies: Copies, figure: Callable[[Rates], float]) -> Expected:
    span = copies.span
    return Expected(figure(span.slow), figure(span.usual), figure(span.fast))
