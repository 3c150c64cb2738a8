"""In which precision a checkpoint's weights are, from the `quantization_config` that its tools wrote.

Methods as transformers names them (`QuantizationMethod` in its `utils/quantization_config.py`); schemes of compressed-tensors
as in vllm-project/compressed-tensors, `src/compressed_tensors/quantization/quant_scheme.py` and `quant_args.py`.
"""

from collections.abc import Mapping
from typing import NamedTuple

from provisioner.model.load import GROUP
from provisioner.weights.fields import Fields, shown

PLAIN = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"}
TAKE = "take the same model as AWQ, GPTQ, FP8 or in its own precision"
REFUSED = {
    "bitsandbytes": "bitsandbytes packs weights while they are loaded, and the engines of today have dropped it",
    "gguf": "GGUF within safetensors is served by no engine: bring the GGUF file itself",
}


class Precision(NamedTuple):
    name: str
    """As in `Checkpoint.precision`, or `w8a16`, `mxfp8`, which the catalog has none of; empty where nothing says it."""
    group: int = 0


def precision_of(fields: Fields, beside: Mapping[str, object] | None = None) -> Precision:
    """From the configuration, or from ModelOpt's `hf_quant_config.json` beside it; ValueError for what no engine serves."""
    if fields.has("quantization_config", "compression_config"):
        found = _by_method(fields.table("quantization_config", "compression_config"))
        # DeepSeek V4 says of its experts alone, and beside the quantization, that they are FP4.
        return Precision("mxfp4_fp8", 32) if fields.text("expert_dtype") == "fp4" else found
    if beside:
        return _modelopt(Fields(beside).table("quantization"))
    return Precision(PLAIN.get(fields.text("dtype", "torch_dtype").removeprefix("torch."), ""))


def _by_method(config: Fields) -> Precision:
    method = config.text("quant_method").lower().replace("_", "-")
    if method in ("fp8", "fbgemm-fp8"):
        return _fp8(config.items("weight_block_size"))
    if method in ("awq", "gptq", "auto-round", "gptq-marlin", "awq-marlin"):
        return _grouped(method, config)
    if method == "compressed-tensors":
        return _compressed(config)
    if method in ("mxfp4", "mxfp8", "nvfp4"):
        return Precision(method, 16 if method == "nvfp4" else 32)
    if method.startswith("modelopt") or (not method and config.has("quant_algo")):
        return _modelopt(config)
    reason = REFUSED.get(
        method, f"its weights are quantized by {shown(method or 'an unnamed method')}, which is not known here"
    )
    raise ValueError(f"{reason}: {TAKE}")


def _fp8(block: tuple[object, ...] | None) -> Precision:
    if block is None:
        return Precision("fp8")
    if block != (128, 128):
        raise ValueError(f"`weight_block_size` is {shown(list(block))}; engines have kernels for [128, 128]: {TAKE}")
    return Precision("fp8_block128", 128)


def _grouped(method: str, config: Fields) -> Precision:
    bits = config.count("bits", "w_bit", "wbits")
    group = _group(config)
    name = "awq" if method.startswith("awq") else "gptq" if method.startswith("gptq") else "w4a16"
    if bits == 4:
        return Precision(name, group)
    if bits == 8 and name != "awq":
        return Precision("gptq_int8", group)
    raise ValueError(f"its weights are {name} with {bits or 'unnamed'} bits; engines have kernels for 4 and 8: {TAKE}")


def _group(config: Fields) -> int:
    """Tools that do not write it use their default; -1 stands for a whole column, which is 0 here."""
    size = config.value("group_size", "q_group_size")
    if not isinstance(size, int) or isinstance(size, bool):
        return GROUP
    return max(0, size)


def _compressed(config: Fields) -> Precision:
    if config.table("sparsity_config").text("format") not in ("", "dense"):
        raise ValueError(f"its weights are sparse, which the engines of today have dropped: {TAKE}")
    groups = config.value("config_groups")
    schemes = (
        [Fields(group) for group in groups.values() if isinstance(group, Mapping)]
        if isinstance(groups, Mapping)
        else []
    )
    found = [_scheme(scheme, config.text("format")) for scheme in schemes if scheme.has("weights")]
    if not found:
        raise ValueError(f"`quantization_config` has no `config_groups` with weights: {TAKE}")
    # Where layers differ, the narrowest holds most of the weights: experts, beside attention in 8 bits.
    return min(found, key=lambda one: _bits(one.name))


def _bits(name: str) -> int:
    return 4 if name in ("w4a16", "mxfp4", "nvfp4") else 8


def _scheme(scheme: Fields, whole: str) -> Precision:
    weights = scheme.table("weights")
    kind, bits, group = weights.text("type"), weights.count("num_bits"), weights.count("group_size")
    form = scheme.text("format") or whole
    if kind == "float" and bits == 8:
        return _fp8(_block(weights)) if weights.text("strategy") == "block" else Precision("fp8")
    if kind == "float" and bits == 4:
        return Precision("mxfp4", 32) if form.startswith("mxfp4") or group == 32 else Precision("nvfp4", group or 16)
    wide = not scheme.has("input_activations")
    if kind == "int" and bits == 8:
        return Precision("w8a16" if wide else "int8", group)
    if kind == "int" and bits == 4 and wide:
        return Precision("w4a16", group)
    raise ValueError(f"its weights have {bits} bits of type {shown(kind)}, for which engines have no kernels: {TAKE}")


def _block(weights: Fields) -> tuple[object, ...] | None:
    """`[128, 128]`, or `128x128` as older releases wrote it."""
    text = weights.text("block_structure")
    return (
        tuple(int(part) if part.isdecimal() else part for part in text.split("x"))
        if text
        else weights.items("block_structure")
    )


def _modelopt(config: Fields) -> Precision:
    """NVIDIA's ModelOpt (`quant_algo`); where layers differ, it says so for each of them."""
    if config.has("config_groups"):
        return _compressed(config)
    name = config.text("quant_algo").upper()
    if name == "MIXED_PRECISION":
        layers = config.value("quantized_layers")
        named = [Fields(one).text("quant_algo").upper() for one in layers.values() if isinstance(one, Mapping)] \
            if isinstance(layers, Mapping) else []  # fmt: skip
        name = min(named, key=lambda one: (not one.startswith(("NVFP4", "W4")), one), default="")
    if name.startswith(("NVFP4", "W4A16_NVFP4", "W4A8_NVFP4")):
        return Precision("nvfp4", config.count("group_size") or 16)
    if name.startswith("FP8_PB"):
        return Precision("fp8_block128", 128)
    if name.startswith("FP8"):
        return Precision("fp8")
    if name.startswith("W4A16_AWQ"):
        return Precision("awq", config.count("group_size") or 128)
    if name.startswith("MXFP8"):
        return Precision("mxfp8", 32)
    raise ValueError(f"its weights are quantized by ModelOpt as {shown(name)}, which is not known here: {TAKE}")
