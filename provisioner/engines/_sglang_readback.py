"""SGLang's own account of its memory: its log, in the words of 0.5.23 and before, and `sglang:max_total_num_tokens`.

The lines stand in model_executor/model_runner.py, mem_cache/memory_pool.py and managers/scheduler.py.
"""

import re

from provisioner.engines._readback import devices, figure, last_count, metric
from provisioner.model.measured import Measured

RANK = re.compile(r"^\[[-\d: ]{10,30} ((?:[A-Z]+\d+)(?: [A-Z]+\d+)*)\]")

FIGURES = (
    figure("weights_bytes", r"Load weight end\..*? mem usage=AMOUNT"),
    figure("runtime_bytes", r"Init torch distributed ends\..*? mem usage=AMOUNT"),
    figure("kv_bytes", r"KV Cache is allocated\..*? K size: AMOUNT", adds=True),
    figure("kv_bytes", r"KV Cache is allocated\..*? V size: AMOUNT", adds=True),
    figure("kv_bytes", r"KV [Cc]ache (?:is )?allocated\..*? KV size: AMOUNT", adds=True),
    figure("kv_bytes", r"Mamba Cache is allocated\..*? conv_state size: AMOUNT", adds=True),
    figure("kv_bytes", r"Mamba Cache is allocated\..*? ssm_state size: AMOUNT", adds=True),
    figure("graphs_bytes", r"Capture .{0,60}end\..*? mem usage=AMOUNT", adds=True),
)

TOKENS = re.compile(r"max_total_num_tokens=(\d{1,18})\b")
VALUE = re.compile(r"(?:\}|^) ?(\d{1,18}(?:\.\d+)?(?:e[+-]?\d{1,2})?)$")


def read_back(log: str, metrics: str) -> Measured:
    """A cache that is sized again after the graphs were captured says `VA upper bound` first, which is no amount."""
    value = VALUE.search((metric(metrics, "sglang:max_total_num_tokens") or "").strip())
    return Measured(
        kv_tokens=int(float(value[1])) if value else last_count(log, TOKENS),
        devices=devices(log, FIGURES, RANK),
    )
