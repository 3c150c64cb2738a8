"""What llama.cpp logs of its buffers, a line for each (src/llama-model.cpp, llama-kv-cache.cpp, llama-context.cpp).

Older releases say `llm_load_tensors` and `llama_kv_cache_init`.
"""

import re

from provisioner.engines._readback import devices, figure, lines
from provisioner.model.measured import Measured

DEVICE = re.compile(r"([\w.-]{1,40}) +(?:model |KV |RS |compute |output )?buffer size +=")

FIGURES = (
    figure("weights_bytes", r"load_tensors: +\S+ +(?:model )?buffer size += +AMOUNT", adds=True),
    figure("kv_bytes", r"(?:KV|RS) buffer size += +AMOUNT", adds=True),
    figure("activation_bytes", r"compute buffer size += +AMOUNT", adds=True),
    figure("runtime_bytes", r"output buffer size += +AMOUNT", adds=True),
)

CELLS = re.compile(r"llama_kv_cache\w*: size = +[\d.]+ MiB \( *(\d{1,12}) cells, +\d+ layers, +\d+/(\d{1,6}) seqs\)")


def read_back(log: str, _metrics: str) -> Measured:
    """Cells are those of one request; a cache of sliding windows logs a line of its own, with fewer of them."""
    cells = [int(match[1]) * int(match[2]) for line in lines(log) if (match := CELLS.search(line))]
    return Measured(kv_tokens=max(cells, default=None), devices=devices(log, FIGURES, DEVICE))
