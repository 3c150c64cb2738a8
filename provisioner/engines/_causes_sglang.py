"""What SGLang writes when it does not start, in its own words; what is under it is in `_causes_torch`."""

from provisioner.engines._causes_torch import DRIVER, FILES, MEMORY, PLACE, RANKS
from provisioner.model.causes import Cause

OWN = (
    Cause(
        "no-room-for-cache",
        r"Not enough memory\. Please try to increase --mem-fraction-static",
        "weights leave nothing of its share for the cache",
        "`--set engine.mem-fraction-static=` a larger share, a weaker `--precision`, or more devices",
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static. Current value: mem_fraction_static=0.7",
        "sglang 0.5.23 srt/model_executor/pool_configurator.py",
    ),
    Cause(
        "out-of-memory-at-capture",
        r"Capture cuda graph failed",
        "the graphs do not fit beside weights and cache",
        "`--set engine.mem-fraction-static=` a smaller share, or `--set engine.cuda-graph-max-bs-decode=` a smaller batch",
        "Exception: Capture cuda graph failed: CUDA out of memory.",
        "sglang 0.5.23 srt/model_executor/runner/decode_cuda_graph_runner.py",
    ),
    Cause(
        "number-format",
        r"type fp8e4nv not supported in this architecture",
        "the card has no 8-bit floats of the kind that the experts are in",
        "another `--precision`, or `--engine vllm`",
        "ValueError(\"type fp8e4nv not supported in this architecture. The supported fp8 dtypes are ('fp8e4b15', 'fp8e5')\")",
        "the compiler of Triton 3.6, python/triton/compiler",
    ),
    Cause(
        "degrees",
        r"is not divisible by (tensor parallel|tp)|not divisible by weight quantization block_n",
        "the model cannot be cut into so many ranks",
        "another `--set engine.tp-size`: `provision plan` names those that divide it",
        "ValueError: The output_size of gate's and up's weight = 192 is not divisible by weight quantization block_n = 128.",
        "sgl-project/sglang#23602",
    ),
)

CAUSES = (*OWN, *DRIVER, *PLACE, *FILES, *RANKS, *MEMORY)
