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
        "share-not-free",
        r"The memory capacity is unbalanced",
        "one of its devices has less free memory than the others",
        "`provision detect` says who else uses it; `provision up` plans anew with what is free",
        "RuntimeError: The memory capacity is unbalanced. Some GPUs may be occupied by other processes. pre_model_load_memory=9.1, "
        "local_gpu_memory=23.6, local_gpu_memory * 0.9=21.2",
        "sglang 0.5.23 srt/distributed/bootstrap.py",
    ),
    Cause(
        "context-too-long",
        r"is greater than the derived context_length",
        "the context is longer than the model was trained for",
        "a smaller `--context`",
        "ValueError: User-specified context_length (99999) is greater than the derived context_length (4096). This may lead to "
        "incorrect model outputs or CUDA errors.",
        "sglang 0.5.23 srt/configs/model_config.py",
    ),
    Cause(
        "argument-unknown",
        r"error: unrecognized arguments:|error: argument --\S+: (invalid|expected)",
        "it does not know an argument, or a value of one: the image is of another release than the plan is for",
        "name an image of the planned release: `--set image=NAME`",
        "launch_server.py: error: argument --tool-call-parser: invalid choice: 'glm47'",
        "sglang 0.5.23, argparse of Python 3.11",
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
