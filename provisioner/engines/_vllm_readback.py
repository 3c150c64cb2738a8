"""vLLM's own account of its memory: its log in the words of releases from 0.6 to 0.32, and `vllm:cache_config_info`.

The lines stand in vllm/v1/worker/gpu_worker.py, gpu_model_runner.py and v1/core/kv_cache_utils.py, before that in worker/worker.py.
"""

import re

from provisioner.engines._readback import devices, figure, label, last_count, metric
from provisioner.model.measured import DeviceMeasured, Measured
from provisioner.model.record import replace

RANK = re.compile(r"\((?:Vllm)?Worker[_ ]((?:[A-Z]+\d+)(?:_[A-Z]+\d+)*|rank=\d+)")

FIGURES = (
    figure("weights_bytes", r"(?:Model loading|Loading model weights) took AMOUNT"),
    figure("weights_bytes", r"model weights take AMOUNT"),
    figure("weights_bytes", r"Actual usage(?: is|:) AMOUNT for weights?"),
    figure("kv_bytes", r"Available KV cache memory: AMOUNT"),
    figure("kv_bytes", r"reserved for KV Cache is AMOUNT"),
    figure("activation_bytes", r"activation peak memory takes AMOUNT"),
    figure("activation_bytes", r"AMOUNT for peak activation"),
    figure("runtime_bytes", r"non_torch_memory takes AMOUNT"),
    figure("runtime_bytes", r"AMOUNT for non-torch memory"),
    figure("graphs_bytes", r"\bGraph capturing finished in \d+ secs?, took AMOUNT"),
    figure("graphs_bytes", r"AMOUNT for (?:CUDAGraph|NPU graph) memory"),
)

TOKENS = re.compile(r"KV cache size: (\d[\d,]{0,20}) tokens")


def read_back(log: str, metrics: str) -> Measured:
    """The metrics are exact and win over the log; they tell what one rank has, and all ranks have the same."""
    sample = metric(metrics, "vllm:cache_config_info") or ""
    tokens = label(sample, "kv_cache_size_tokens")
    ranks = devices(log, FIGURES, RANK)
    pool = label(sample, "kv_cache_memory_bytes")
    if pool is not None:
        ranks = tuple(replace(rank, kv_bytes=pool) for rank in ranks or (DeviceMeasured(""),))
    return Measured(
        kv_tokens=tokens if tokens is not None else last_count(log, TOKENS),
        block=label(sample, "block_size"),
        devices=ranks,
    )
