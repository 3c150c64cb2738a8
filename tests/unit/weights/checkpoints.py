"""Makes small checkpoints as tools write them: a real header before bytes that nobody reads."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

WIDTHS = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "U8": 1, "F8_E4M3": 1}

CONFIG: dict[str, object] = {
    "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "hidden_size": 64, "head_dim": 16,
    "intermediate_size": 128, "moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 1, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256, "max_position_embeddings": 4096,
    "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


def tensors_of_layer(layer: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    stem = f"model.layers.{layer}"
    found: dict[str, tuple[str, tuple[int, ...]]] = {
        f"{stem}.input_layernorm.weight": ("BF16", (64,)),
        f"{stem}.post_attention_layernorm.weight": ("BF16", (64,)),
        f"{stem}.self_attn.q_proj.weight": ("BF16", (64, 64)),
        f"{stem}.self_attn.k_proj.weight": ("BF16", (32, 64)),
        f"{stem}.self_attn.v_proj.weight": ("BF16", (32, 64)),
        f"{stem}.self_attn.o_proj.weight": ("BF16", (64, 64)),
        f"{stem}.self_attn.q_norm.weight": ("BF16", (16,)),
        f"{stem}.self_attn.k_norm.weight": ("BF16", (16,)),
        f"{stem}.mlp.gate.weight": ("BF16", (4, 64)),
    }
    for expert in range(4):
        for name, shape in (("gate", (32, 64)), ("up", (32, 64)), ("down", (64, 32))):
            found[f"{stem}.mlp.experts.{expert}.{name}_proj.weight"] = ("BF16", shape)
    return found


TOP = {
    "model.embed_tokens.weight": ("BF16", (256, 64)),
    "model.norm.weight": ("BF16", (64,)),
    "lm_head.weight": ("BF16", (256, 64)),
}
PARTS = [{**tensors_of_layer(0), **TOP}, tensors_of_layer(1)]
PARAMETERS = 2 * 256 * 64 + 64 + 2 * (2 * 64 + 2 * 64 * 64 + 2 * 32 * 64 + 2 * 16 + 4 * 64 + 12 * 32 * 64)


def safetensors(tensors: Mapping[str, tuple[str, tuple[int, ...]]], data: bool = True) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (kind, shape) in tensors.items():
        size = WIDTHS[kind]
        for length in shape:
            size *= length
        entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + (bytes(end) if data else b"")


def checkpoint(config: dict[str, object] | None = None) -> dict[str, bytes]:
    """The files of a model in two parts, by name."""
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    weights = {tensor: name for name, part in zip(names, PARTS, strict=True) for tensor in part}
    index = {"metadata": {"total_size": PARAMETERS * 2}, "weight_map": weights}
    return {
        "config.json": json.dumps(config or CONFIG).encode(),
        "model.safetensors.index.json": json.dumps(index).encode(),
        "tokenizer.json": b"{}",
        "modeling_evil.py": b"raise SystemExit",
        **{name: safetensors(part) for name, part in zip(names, PARTS, strict=True)},
    }


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder
