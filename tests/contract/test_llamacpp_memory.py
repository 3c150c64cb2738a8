"""The planner's arithmetic against the real engine: what it logs for its cache and its compute buffer."""

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner.engines.llamacpp import read_back
from provisioner.model.catalog import Geometry
from provisioner.model.measured import DeviceMeasured
from provisioner.planning.memory import sizing
from provisioner.world import tinymodel

MIB = 1 << 20
SECONDS = 60

DENSE = Geometry("dense-gqa", 2, 2, 1024, 4096, 16, 4, 64, 64, vocab=300)
WIDE = Geometry("dense-gqa", 3, 3, 512, 2048, 8, 2, 64, 64, vocab=300)


LATENT = Geometry(
    "moe-mla", 2, 2, 256, 512, 4, 1, 64, 32, vocab=300, kv_lora_rank=64, rope_dimensions=32, q_lora_rank=64, experts=4,
    experts_used=2, expert_feed_forward=128, dense_layers=2,
)  # fmt: skip
EXPERTS = Geometry(
    "moe-gqa", 2, 2, 512, 0, 8, 2, 64, 64, vocab=300, experts=8, experts_used=2, expert_feed_forward=256, qk_norm=True
)
SLIDING = Geometry(
    "dense-swa", 4, 4, 512, 2048, 8, 2, 64, 64, vocab=300, sliding_window=512, sliding_layers=2, tied_embeddings=True
)
TIED = Geometry("dense-gqa", 2, 2, 1024, 4096, 16, 4, 64, 64, vocab=300, tied_embeddings=True)


def family(shape: Geometry) -> str:
    """The architecture of llama.cpp that has this shape; Gemma 2 slides in every other layer."""
    if shape.kv_lora_rank:
        return "deepseek2"
    if shape.experts:
        return "qwen3moe"
    return "gemma2" if shape.sliding_layers else "llama"


def write_model(path: Path, shape: Geometry) -> None:
    """A model of this shape, all zeros: memory does not depend on what the weights are."""
    import gguf

    writer: Any = gguf.GGUFWriter(str(path), family(shape))
    writer.add_context_length(65536)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    add_tokenizer(writer, shape)
    (add_latent if shape.kv_lora_rank else add_dense)(writer, shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: Any, shape: Geometry) -> None:
    writer.add_vocab_size(shape.vocab)
    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256))]
    tokens += [f"t{number}".encode() for number in range(shape.vocab - len(tokens))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * shape.vocab)
    writer.add_token_types([2, 3, 3, *[6] * 256, *[1] * (shape.vocab - 259)])


def add_dense(writer: Any, shape: Geometry) -> None:
    queries, keys = shape.heads * shape.key_length, shape.kv_heads * shape.key_length
    writer.add_key_length(shape.key_length)
    writer.add_value_length(shape.value_length)
    writer.add_rope_dimension_count(shape.key_length)
    attention: dict[str, tuple[int, ...]] = {
        "attn_q": (queries, shape.hidden), "attn_k": (keys, shape.hidden), "attn_v": (keys, shape.hidden),
        "attn_output": (shape.hidden, queries),
    }  # fmt: skip
    if shape.experts:
        add_experts(writer, shape)
        attention |= {"attn_q_norm": (shape.key_length,), "attn_k_norm": (shape.key_length,)}
    if shape.sliding_layers:
        writer.add_sliding_window(shape.sliding_window)
        attention |= {"post_attention_norm": (shape.hidden,), "post_ffw_norm": (shape.hidden,)}
    add_tensors(writer, shape, attention)


def add_experts(writer: Any, shape: Geometry) -> None:
    writer.add_expert_feed_forward_length(shape.expert_feed_forward)
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.experts_used)


def add_latent(writer: Any, shape: Geometry) -> None:
    row = shape.kv_lora_rank + shape.rope_dimensions
    writer.add_key_length(row)
    writer.add_value_length(shape.kv_lora_rank)
    writer.add_key_length_mla(shape.key_length)
    writer.add_value_length_mla(shape.value_length)
    writer.add_kv_lora_rank(shape.kv_lora_rank)
    writer.add_q_lora_rank(shape.q_lora_rank)
    writer.add_rope_dimension_count(shape.rope_dimensions)
    writer.add_leading_dense_block_count(shape.dense_layers)
    add_experts(writer, shape)
    writer.add_expert_shared_count(1)
    writer.add_expert_weights_scale(1.0)
    nope = shape.key_length - shape.rope_dimensions
    attention = {
        "attn_q_a": (shape.q_lora_rank, shape.hidden), "attn_q_a_norm": (shape.q_lora_rank,),
        "attn_q_b": (shape.heads * shape.key_length, shape.q_lora_rank),
        "attn_kv_a_mqa": (row, shape.hidden), "attn_kv_a_norm": (shape.kv_lora_rank,),
        "attn_k_b": (shape.heads, shape.kv_lora_rank, nope),
        "attn_v_b": (shape.heads, shape.value_length, shape.kv_lora_rank),
        "attn_output": (shape.hidden, shape.heads * shape.value_length),
    }  # fmt: skip
    add_tensors(writer, shape, attention)


def add_tensors(writer: Any, shape: Geometry, attention: Mapping[str, tuple[int, ...]]) -> None:
    import numpy as np

    hidden = shape.hidden
    layer = {"attn_norm": (hidden,), **attention, "ffn_norm": (hidden,), **feed_forward(shape)}
    sizes: dict[str, tuple[int, ...]] = {"token_embd": (shape.vocab, hidden), "output_norm": (hidden,)}
    if not shape.tied_embeddings:
        sizes["output"] = (shape.vocab, hidden)
    sizes |= {f"blk.{number}.{name}": size for number in range(shape.layers) for name, size in layer.items()}
    for name, size in sizes.items():
        writer.add_tensor(f"{name}.weight", np.zeros(size, dtype=np.float16 if len(size) > 1 else np.float32))


def feed_forward(shape: Geometry) -> dict[str, tuple[int, ...]]:
    hidden, wide = shape.hidden, shape.feed_forward
    if wide:
        return {"ffn_gate": (wide, hidden), "ffn_up": (wide, hidden), "ffn_down": (hidden, wide)}
    many, narrow = shape.experts, shape.expert_feed_forward
    return {
        "ffn_gate_inp": (many, hidden), "ffn_gate_exps": (many, narrow, hidden), "ffn_up_exps": (many, narrow, hidden),
        "ffn_down_exps": (many, hidden, narrow),
    }  # fmt: skip


def logged(model: Path, context: int, slots: int, *more: str) -> tuple[float, float]:
    """Start the engine as a service would be, and read from its log the MiB of its cache and its compute buffer."""
    argv = [
        sys.executable, "-I", "-m", "provisioner.world.llamacpp", "--model", str(model), "--alias", "m", "--port", "18399",
        "--ctx-size", str(context * slots), "--parallel", str(slots), "--threads", "1", "--threads-batch", "1", *more,
    ]  # fmt: skip
    with subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as engine:
        clock = threading.Timer(SECONDS, engine.kill)
        clock.start()
        assert engine.stderr is not None
        seen = []
        for line in engine.stderr:
            seen.append(line)
            if "compute buffer size" in line:
                break
        clock.cancel()
        engine.kill()
    told = {device.device: device for device in read_back("".join(seen), "").devices}
    own = told.get("CPU", DeviceMeasured("CPU"))
    assert own.kv_bytes is not None, "".join(seen)
    assert own.activation_bytes is not None, "".join(seen)
    return own.kv_bytes / MIB, own.activation_bytes / MIB


@pytest.mark.parametrize(
    ("shape", "context", "slots"),
    [(DENSE, 4096, 1), (DENSE, 8192, 2), (WIDE, 2048, 4)],
)
@pytest.mark.parametrize("types", [("f16", "f16"), ("q8_0", "q8_0")])
@pytest.mark.needs("embedded")
def test_cache_and_compute_buffer(
    tmp_path: Path, shape: Geometry, context: int, slots: int, types: tuple[str, str]
) -> None:
    write_model(tmp_path / "m.gguf", shape)
    keys, values = types
    cache, compute = logged(tmp_path / "m.gguf", context, slots, "--cache-type-k", keys, "--cache-type-v", values)
    assert sizing.kv_cache_bytes(shape, context, slots, keys, values) / MIB == pytest.approx(cache, abs=0.006)
    assert compute <= sizing.activation_bytes(shape, context) / MIB <= compute * 1.3 + 1.01


@pytest.mark.needs("embedded")
def test_latent_attention_keeps_no_values(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf", LATENT)
    cache, compute = logged(tmp_path / "m.gguf", 4096, 2)
    assert sizing.kv_cache_bytes(LATENT, 4096, 2, "f16", "f16") / MIB == pytest.approx(cache, abs=0.006)
    assert compute <= sizing.activation_bytes(LATENT, 4096) / MIB <= compute * 1.3 + 1.01


@pytest.mark.parametrize("shape", [EXPERTS, SLIDING, TIED], ids=["experts", "sliding", "tied"])
@pytest.mark.parametrize(("context", "slots"), [(4096, 1), (512, 2)])
@pytest.mark.needs("embedded")
def test_other_shapes(tmp_path: Path, shape: Geometry, context: int, slots: int) -> None:
    write_model(tmp_path / "m.gguf", shape)
    cache, compute = logged(tmp_path / "m.gguf", context, slots)
    assert sizing.kv_cache_bytes(shape, context, slots, "f16", "f16") / MIB == pytest.approx(cache, abs=0.006)
    assert compute <= sizing.activation_bytes(shape, context) / MIB


@pytest.mark.needs("embedded")
def test_the_demos_own_model(tmp_path: Path) -> None:
    tinymodel.write(str(tmp_path / "m.gguf"))
    cache, _ = logged(tmp_path / "m.gguf", 512, 2)
    assert cache == 1.0
