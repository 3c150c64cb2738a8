"""What each engine tells Prometheus of itself, under which names; engines that are not here tell nothing."""

from collections.abc import Mapping

from provisioner.model.plan import Service
from provisioner.model.plugins import Stack
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """Names of gauges, counters and histograms; empty for what an engine does not tell."""

    running: str
    waiting: str
    steps: str
    """Counts whenever the engine has computed something: one that has requests and no steps is wedged."""
    generated: str
    prompt: str
    cache: str
    """The share of the cache that is taken."""
    first_token: str
    between_tokens: str
    source: str


SGLANG = EngineMetrics(
    running="sglang:num_running_reqs",
    waiting="sglang:num_queue_reqs",
    steps="sglang:realtime_tokens_total",
    generated="sglang:realtime_tokens_total{mode='decode'}",
    prompt="sglang:realtime_tokens_total{mode='prefill_compute'}",
    cache="sglang:token_usage",
    first_token="sglang:time_to_first_token_seconds",  # noqa: S106
    between_tokens="sglang:inter_token_latency_seconds",
    source="srt/observability/metrics_collector.py of sglang 0.5.23",
)

ENGINES: Mapping[str, EngineMetrics] = {
    "vllm": EngineMetrics(
        running="vllm:num_requests_running",
        waiting="vllm:num_requests_waiting",
        steps="vllm:iteration_tokens_total_count",
        generated="vllm:generation_tokens_total",
        prompt="vllm:prompt_tokens_total",
        cache="vllm:kv_cache_usage_perc",
        first_token="vllm:time_to_first_token_seconds",  # noqa: S106
        between_tokens="vllm:inter_token_latency_seconds",
        source="vllm/v1/metrics/loggers.py of vLLM 0.32",
    ),
    "sglang": SGLANG,
    "ktransformers": SGLANG,
    "llamacpp": EngineMetrics(
        running="llamacpp:requests_processing",
        waiting="llamacpp:requests_deferred",
        steps="llamacpp:n_decode_total",
        generated="llamacpp:tokens_predicted_total",
        prompt="llamacpp:prompt_tokens_total",
        cache="",
        first_token="",
        between_tokens="",
        source="/metrics of llama.cpp's server in xllamacpp 2026.10",
    ),
}


def scraped(stack: Stack) -> tuple[Service, ...]:
    """The servers on this machine that tell something."""
    return tuple(one for one in stack.engines if not one.node and one.engine in ENGINES)


def kinds(stack: Stack) -> tuple[EngineMetrics, ...]:
    """The vocabularies that are spoken in this stack, each once."""
    return tuple(dict.fromkeys(ENGINES[one.engine] for one in scraped(stack)))
