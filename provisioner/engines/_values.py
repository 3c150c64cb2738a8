"""Words that vLLM and SGLang take for flags which change the arithmetic: held against what was set by name.

Read from vLLM 0.32.0 (config/model.py, model_executor/layers/quantization/__init__.py) and SGLang 0.5.23
(srt/arg_groups/choices.py, fields/model.py). Words that quantize weights while they are loaded are left out on purpose: what
such weights take is not reckoned here, and a checkpoint that was quantized before has its own precision.
"""

from collections.abc import Mapping

COMPUTE_TYPES = ("auto", "half", "float16", "bfloat16")
"""`float` and `float32` would double what the weights take, which the plan does not count."""

AWQ, GPTQ = ("awq", "auto_awq", "awq_marlin", "moe_wna16"), ("gptq", "auto_gptq", "gptq_marlin", "moe_wna16")
BY_GROUPS = ("compressed-tensors", *GPTQ, "inc")
FP8 = ("fp8", "compressed-tensors", "modelopt", "fbgemm_fp8")
MXFP4, NVFP4 = ("mxfp4", "gpt_oss_mxfp4", "compressed-tensors"), ("modelopt", "modelopt_fp4", "compressed-tensors")

VLLM_METHODS: Mapping[str, tuple[str, ...]] = {
    "bf16": (), "fp16": (), "awq": AWQ, "gptq": GPTQ, "gptq_int8": GPTQ, "w4a16": BY_GROUPS, "int4": BY_GROUPS,
    "int8": ("compressed-tensors",), "fp8": FP8, "fp8_block128": ("fp8", "compressed-tensors", "modelopt"), "mxfp4": MXFP4,
    "nvfp4": NVFP4, "mxfp4_fp8": ("deepseek_v4_fp8", "fp8", "mxfp4"), "int4_fp8": ("compressed-tensors", "fp8"),
}  # fmt: skip

SGLANG_AWQ, SGLANG_GPTQ = ("awq", "awq_marlin", "moe_wna16"), ("gptq", "gptq_marlin", "moe_wna16")
SGLANG_GROUPS = ("compressed-tensors", *SGLANG_GPTQ, "auto-round")
SGLANG_FP8 = ("fp8", "w8a8_fp8", "compressed-tensors", "modelopt", "modelopt_fp8")

SGLANG_METHODS: Mapping[str, tuple[str, ...]] = {
    "bf16": ("unquant",), "fp16": ("unquant",), "awq": SGLANG_AWQ, "gptq": SGLANG_GPTQ, "gptq_int8": SGLANG_GPTQ,
    "w4a16": SGLANG_GROUPS, "int4": SGLANG_GROUPS, "int8": ("w8a8_int8", "compressed-tensors"), "fp8": SGLANG_FP8,
    "fp8_block128": ("fp8", "compressed-tensors"), "mxfp4": ("mxfp4", "quark"),
    "nvfp4": ("modelopt", "modelopt_fp4", "petit_nvfp4"), "mxfp4_fp8": ("fp8", "mxfp4"), "int4_fp8": ("w4afp8", "fp8"),
}  # fmt: skip
