"""Adapters (LoRA) as PEFT writes them and as llama.cpp takes them, made on the spot with random values; nothing is downloaded."""

import json
import random
from array import array
from collections.abc import Mapping
from pathlib import Path

import pytest

from provisioner.world import tinymodel

Shapes = Mapping[str, tuple[int, int]]

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


def write_adapter(
    folder: Path,
    shapes: Shapes,
    *,
    rank: int = 8,
    layers: int = 2,
    base: str = "tiny",
    scale: float = 1.0,
    **config: object,
) -> Path:
    """An adapter that changes these projections (inputs and outputs of each) in so many layers."""
    folder.mkdir(parents=True)
    settings = {
        "peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "bias": "none", "base_model_name_or_path": base,
        "target_modules": list(shapes), **config,
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    dice = random.Random(7)
    header: dict[str, object] = {}
    body = bytearray()
    for layer in range(layers):
        for module, (wide, out) in shapes.items():
            part = "self_attn" if module in ATTENTION else "mlp"
            for kind, shape in (("A", (rank, wide)), ("B", (out, rank))):
                values = array("f", [dice.uniform(-scale, scale) for _ in range(shape[0] * shape[1])]).tobytes()
                name = f"base_model.model.model.layers.{layer}.{part}.{module}.lora_{kind}.weight"
                header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
                body += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(body))
    return folder


def write_gguf_adapter(path: Path, *, rank: int = 4) -> Path:
    """One of the demo's model, in the one file that llama.cpp takes: it changes what the feed-forward parts give."""
    gguf, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    dice = numpy.random.default_rng(7)
    writer = gguf.GGUFWriter(str(path), "qwen2")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    for layer in range(tinymodel.LAYERS):
        name = f"blk.{layer}.ffn_down.weight"
        writer.add_tensor(f"{name}.lora_a", dice.normal(size=(rank, tinymodel.INTERMEDIATE)).astype("float32"))
        writer.add_tensor(f"{name}.lora_b", dice.normal(size=(tinymodel.HIDDEN, rank)).astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
