"""What vLLM writes when it does not start, in its own words; what is under it is in `_causes_torch`."""

from provisioner.engines._causes_torch import DRIVER, FILES, MEMORY, PLACE, RANKS
from provisioner.model.causes import Cause

OWN = (
    Cause(
        "cache-too-small",
        r"To serve at least one request with the model's max seq len|larger than the maximum number of tokens that can be stored",
        "one request of the full context does not fit into the cache",
        "a smaller `--context`, or `--set engine.kv-cache-dtype=fp8`",
        "ValueError: To serve at least one request with the model's max seq len (4096), (0.0 GiB KV cache is needed, which is "
        "larger than the available KV cache memory (0.0 GiB).",
        "vllm 0.32.0 v1/core/kv_cache_utils.py",
    ),
    Cause(
        "no-room-for-cache",
        r"No available memory for the cache blocks",
        "weights and activations leave nothing of its share for the cache",
        "a weaker `--precision`, fewer `--set engine.max-num-seqs`, or more devices",
        "ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine",
        "vllm 0.32.0 v1/core/kv_cache_utils.py",
    ),
    Cause(
        "share-not-free",
        r"on startup is less than desired (GPU|CPU) memory utilization",
        "less of the device is free than the share that it was started for",
        "`provision detect` says who else uses the device; `provision up` plans anew with what is free",
        "ValueError: Free memory on device cuda:0 (9.31/23.64 GiB) on startup is less than desired GPU memory utilization",
        "vllm 0.32.0 v1/worker/utils.py",
    ),
    Cause(
        "out-of-memory-at-load",
        r"Failed to load model - not enough GPU memory",
        "the weights do not fit on the device",
        "a weaker `--precision`, more devices, or `--set engine.cpu-offload-gb=`; `provision detect` says who else uses the device",
        "ERROR Failed to load model - not enough GPU memory. Try lowering --gpu-memory-utilization to free memory for weights, "
        "increasing --tensor-parallel-size, or using --quantization.",
        "vllm 0.32.0 v1/worker/gpu_model_runner.py",
    ),
    Cause(
        "parser-unknown",
        r"invalid (tool call|reasoning) parser: |Reasoning parser '.*' not found",
        "its release has no parser of this name",
        "`--set engine.tool-call-parser=none` and `--set engine.reasoning-parser=none`, or an image of the planned release",
        "KeyError: 'invalid tool call parser: glm47 (chose from { deepseek_v3,hermes })'",
        "vllm 0.32.0 entrypoints/launchers/launcher.py",
    ),
    Cause(
        "adapter-refused",
        r"is greater than max_lora_rank|does not support LoRA yet|Loading lora .* failed",
        "an adapter does not fit the model, or the room that is kept for it",
        "leave it out of `lora`, or `--set engine.max-lora-rank=` its rank",
        "ValueError: LoRA rank 64 is greater than max_lora_rank 16.",
        "vllm 0.32.0 lora/peft_helper.py",
    ),
    Cause(
        "out-of-memory-in-sampler",
        r"out of memory occurred when warming up sampler",
        "the tables of the sampler do not fit beside everything else",
        "`--set engine.max-num-seqs=` half of what it is",
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests.",
        "vllm 0.32.0 v1/worker/gpu_model_runner.py",
    ),
    Cause(
        "out-of-memory-at-capture",
        r"(?i)(captur\w*.*(out of memory|cudaErrorMemoryAllocation))|((out of memory|OutOfMemory).*graph)",
        "the graphs do not fit beside weights and cache",
        "`--set engine.max-cudagraph-capture-size=` a smaller number, or `--set engine.enforce-eager=true`",
        "RuntimeError: CUDA graph capture failed: CUDA error: out of memory",
        "vllm-project/vllm#17469",
    ),
    Cause(
        "degrees",
        r"must be divisible by tensor parallel size|not divisible by weight quantization block_n|"
        r"Weight (input|output)_(size_per_partition|partition_size) = \d+ is not divisible",
        "the model cannot be cut into so many ranks",
        "another `--set engine.tensor-parallel-size`: `provision plan` names those that divide it",
        "Value error, Total number of attention heads (4) must be divisible by tensor parallel size (3).",
        "vllm 0.32.0 config/model.py",
    ),
    Cause(
        "too-few-devices",
        r"larger than the number of available GPUs|World size \(\d+\) is larger|Not enough allowed NUMA nodes",
        "fewer devices are seen inside than it has ranks",
        "`provision doctor` says what Docker lacks to hand out cards; or a smaller `--set engine.tensor-parallel-size`",
        "ValueError: World size (4) is larger than the number of available GPUs (2) in this node.",
        "vllm 0.32.0 config/parallel.py",
    ),
    Cause(
        "stage-not-warmed",
        r"assert self\.intermediate_tensors is not None",
        "a later stage of the pipeline has no room for what it is handed: on processors without graphs, or for a model whose class "
        "does not make it (Kimi-Linear)",
        "leave `engine.enforce-eager` out, or `--set engine.tensor-parallel-size=` in place of stages",
        "    assert self.intermediate_tensors is not None",
        "vllm 0.32.0 v1/worker/gpu_model_runner.py and cpu_model_runner.py (warming_up_model); vllm-project/vllm#49430",
    ),
    Cause(
        "context-too-long",
        r"is greater than the derived max_model_len",
        "the context is longer than the model was trained for",
        "a smaller `--context`",
        "Value error, User-specified max_model_len (99999) is greater than the derived max_model_len "
        "(max_position_embeddings=4096.0 or model_max_length=None in model's config.json).",
        "vllm 0.32.0 config/model.py",
    ),
    Cause(
        "number-format",
        r"Bfloat16 is only supported on GPUs with compute capability|is not supported for quantization method|"
        r"The quantization method \w+ is not supported",
        "the card, or the method of the weights, does not compute in this number format",
        "`--set engine.dtype=half`, or another `--precision`",
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. Your Tesla V100-SXM2-32GB GPU "
        "has compute capability 7.0. You can use float16 instead by explicitly setting the `dtype` flag",
        "vllm 0.19.1 platforms/cuda.py",
    ),
    Cause(
        "argument-unknown",
        r"error: unrecognized arguments:|error: argument --\S+: (invalid|expected)",
        "it does not know an argument: the image is of another release than the plan is for",
        "name an image of the planned release: `--set image=NAME`",
        "vllm: error: unrecognized arguments: --swap-space 4",
        "vllm 0.32.0, argparse of Python 3.11",
    ),
)

CAUSES = (*OWN, *DRIVER, *PLACE, *FILES, *RANKS, *MEMORY)
