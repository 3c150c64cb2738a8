"""Headers of GGUF files: what they say, and that no damaged or hostile one does more than raise ValueError."""

import os
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.catalog import load_catalog
from provisioner.model.catalog import Geometry
from provisioner.model.weights import GgufHeader, TensorBytes
from provisioner.weights.gguf import FILE_TYPES, TENSOR_TYPES, read_header
from provisioner.weights.ggufshape import kind_of
from provisioner.world import tinymodel

TINY = tinymodel.model_bytes()


def header(data: bytes, size: int | None = None) -> GgufHeader:
    return read_header(lambda offset, count: data[offset : offset + count], len(data) if size is None else size)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def gguf(pairs: list[bytes], tensors: list[bytes] | None = None, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors or []), len(pairs))
    return head + b"".join(pairs) + b"".join(tensors or [])


def pair(key: str, value: int | str | list[int] | list[str]) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", 4, value)
    if value and isinstance(value[0], str):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(text(str(item)) for item in value)
    return text(key) + struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)


def test_the_tiny_model_as_it_was_made() -> None:
    found = header(TINY)
    assert (found.architecture, found.quantization, found.vocab) == ("qwen2", "f16", len(tinymodel.vocabulary()))
    assert (found.layers, found.hidden, found.heads, found.kv_heads, found.key_length) == (2, 256, 4, 2, 64)
    assert (found.context, found.parameters, found.shard, found.shards) == (4096, 1386240, 0, 1)
    assert found.chat_template == tinymodel.CHAT_TEMPLATE


def test_every_type_and_size_is_that_of_the_reference_library() -> None:
    gguf_library = pytest.importorskip("gguf")
    theirs = {int(kind): (kind.name.lower(), *gguf_library.GGML_QUANT_SIZES[kind])
              for kind in gguf_library.GGMLQuantizationType}  # fmt: skip
    assert theirs.items() <= TENSOR_TYPES.items()
    names = {int(kind): kind.name.lower().removeprefix("mostly_").removeprefix("all_").removesuffix("_moe")
             for kind in gguf_library.LlamaFileType if kind.name != "GUESSED"}  # fmt: skip
    assert names.items() <= FILE_TYPES.items()


def test_a_file_of_the_reference_library(tmp_path: object) -> None:
    gguf_library, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")
    path = f"{tmp_path}/mla.gguf"
    writer = gguf_library.GGUFWriter(path, "deepseek2")
    writer.add_name("a latent one")
    writer.add_block_count(3)
    writer.add_embedding_length(128)
    writer.add_head_count(8)
    writer.add_head_count_kv(1)
    writer.add_key_length(576)
    writer.add_value_length(512)
    writer.add_kv_lora_rank(512)
    writer.add_rope_dimension_count(64)
    writer.add_expert_count(16)
    writer.add_expert_used_count(4)
    writer.add_context_length(163840)
    writer.add_token_list([f"token {number}" for number in range(150_000)])
    writer.add_tensor("token_embd.weight", numpy.zeros((4, 256), dtype=numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open(path, "rb") as file:
        data = file.read()
    found = header(data)
    assert (found.kv_lora_rank, found.rope_dimensions, found.key_length, found.kv_heads) == (512, 64, 576, 1)
    assert (found.experts, found.experts_used, found.vocab, found.quantization) == (16, 4, 150_000, "f32")


def test_hybrid_and_split_models() -> None:
    each = gguf([pair("general.architecture", "jamba"), pair("jamba.block_count", 4),
                 pair("jamba.attention.head_count_kv", [0, 8, 0, 4])])  # fmt: skip
    assert (header(each).kv_layers, header(each).kv_heads) == (2, 8)
    interval = gguf([pair("general.architecture", "q"), pair("q.block_count", 48),
                     pair("q.full_attention_interval", 4)])  # fmt: skip
    assert header(interval).kv_layers == 12
    part = gguf([pair("split.no", 1), pair("split.count", 9)])
    assert (header(part).shard, header(part).shards) == (1, 9)


@pytest.mark.parametrize("cut", [0, 3, 23, 24, 100, 5000, len(TINY) // 2, len(TINY) - 1])
def test_a_file_that_is_cut_short_is_told(cut: int) -> None:
    with pytest.raises(ValueError, match=r"cut short|too short"):
        header(TINY[:cut])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"PK\x03\x04" + bytes(40), "no GGUF file"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(40), "big-endian"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(40), "version is 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 0) + bytes(40), "number of tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 60) + bytes(40), "number of keys"),
        (gguf([struct.pack("<Q", 1 << 62) + bytes(40)]), "length of a key"),
        (gguf([text("k") + struct.pack("<I", 77) + bytes(40)]), "unknown type 77"),
        (gguf([text("k") + struct.pack("<IIQ", 9, 8, 1 << 50) + bytes(40)]), "number of items"),
        (gguf([text("k") + struct.pack("<IIQ", 9, 9, 1) + bytes(40)]), "unknown type 9"),
        (gguf([pair("general.alignment", 0)]), "alignment"),
        (gguf([], [text("t") + struct.pack("<I", 99)]), "99 dimensions"),
        (gguf([], [text("t") + struct.pack("<IQIQ", 1, 5, 999, 0)]), "unknown type 999"),
        (gguf([], [text("t") + struct.pack("<I4QIQ", 4, *[1 << 40] * 4, 0, 0)]), "cannot have the shape"),
        (gguf([], [text("t") + struct.pack("<IQIQ", 1, 33, 8, 0)]), "cannot have the shape"),
        (gguf([], [text("t") + struct.pack("<IQIQ", 1, 32, 0, 1 << 63)]), "cut short"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        header(data)


def refuses_or_reads(data: bytes) -> None:
    try:
        header(data)
    except ValueError:
        return


HEAD = TINY[: TINY.index(b"output.weight") + 100]
FUZZ = settings(
    max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@FUZZ
@given(st.data())
def test_flipped_and_cut_headers(data: st.DataObject) -> None:
    changed = bytearray(HEAD)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    refuses_or_reads(bytes(changed[: data.draw(st.integers(0, len(changed)))]))


@FUZZ
@given(st.lists(st.tuples(st.integers(0, len(HEAD) - 8), st.integers(0, 2**64 - 1)), min_size=1, max_size=4))
def test_numbers_that_are_lies(lies: list[tuple[int, int]]) -> None:
    changed = bytearray(HEAD)
    for at, number in lies:
        changed[at : at + 8] = struct.pack("<Q", number)
    refuses_or_reads(bytes(changed))


@FUZZ
@given(st.binary(max_size=400))
def test_junk_behind_the_magic(junk: bytes) -> None:
    refuses_or_reads(b"GGUF\x03\x00\x00\x00" + junk)


def measured(read: Callable[[], object]) -> tuple[float, int]:
    """Seconds of processor time, and the most memory that was held; tracing is slow, so each is a run of its own."""
    began = time.process_time()
    read()
    seconds = time.process_time() - began
    tracemalloc.start()
    read()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak


def test_a_large_vocabulary_is_passed_over_not_kept() -> None:
    data = gguf([pair("general.architecture", "x"), pair("tokenizer.ggml.tokens", [f"tok{n}" for n in range(200_000)])])
    seconds, peak = measured(lambda: header(data))
    assert header(data).vocab == 200_000
    assert peak < 16 << 20
    assert seconds < 1


def test_a_sparse_giant_full_of_zeros_ends_soon(tmp_path: object) -> None:
    """Every length is 0 and the arrays are as long as may be: the work stays bounded."""
    path = f"{tmp_path}/giant.gguf"
    with open(path, "wb") as target:
        target.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + text("k") + struct.pack("<IIQ", 9, 8, (1 << 21) - 1))
        target.seek(8 * ((1 << 21) - 1), os.SEEK_CUR)
        target.write(text("l") + struct.pack("<IIQ", 9, 8, 1 << 21))
        target.truncate(400 << 30)
    began = time.process_time()
    with open(path, "rb") as file, pytest.raises(ValueError, match="number of items"):
        read_header(lambda offset, size: os.pread(file.fileno(), size, offset), 400 << 30)
    assert time.process_time() - began < 3


def shape(architecture: str, **keys: int | str | list[int]) -> Geometry:
    """The geometry of a file with these keys; `__` stands for the dot in a key."""
    pairs = [pair("general.architecture", architecture)]
    pairs += [pair(f"{architecture}.{key.replace('__', '.')}", value) for key, value in keys.items()]
    found = header(gguf(pairs)).geometry
    assert found is not None
    return found


R1 = {
    "block_count": 61, "embedding_length": 7168, "feed_forward_length": 18432, "context_length": 163840,
    "attention__head_count": 128, "attention__head_count_kv": 1, "attention__key_length": 576, "attention__value_length": 512,
    "attention__key_length_mla": 192, "attention__value_length_mla": 128, "attention__kv_lora_rank": 512,
    "attention__q_lora_rank": 1536, "rope__dimension_count": 64, "expert_count": 256, "expert_used_count": 8,
    "expert_shared_count": 1, "expert_feed_forward_length": 2048, "leading_dense_block_count": 3, "vocab_size": 129280,
}  # fmt: skip
"""As llama.cpp's `convert_hf_to_gguf.py` writes them for DeepSeek R1."""


def test_latent_attention_is_the_catalogs() -> None:
    found, known = shape("deepseek2", **R1), load_catalog().model("deepseek-r1").architecture
    for name in (
        "kind", "layers", "kv_layers", "hidden", "feed_forward", "heads", "kv_heads", "key_length", "value_length", "vocab",
        "kv_lora_rank", "rope_dimensions", "q_lora_rank", "experts", "experts_used", "shared_experts", "expert_feed_forward",
        "dense_layers", "sliding_window", "linear_layers",
    ):  # fmt: skip
        assert (name, getattr(found, name)) == (name, getattr(known, name))


def test_older_files_of_deepseek_keep_a_cache_for_every_head() -> None:
    old = {key: value for key, value in R1.items() if not key.endswith("_mla")}
    old.update(attention__head_count_kv=128, attention__key_length=192, attention__value_length=128)
    found = shape("deepseek2", **old)
    assert (found.kv_lora_rank, found.kv_heads, found.key_length, found.value_length) == (0, 128, 192, 128)


GEMMA = {"block_count": 48, "context_length": 131072, "attention__head_count": 16, "embedding_length": 3840}


@pytest.mark.parametrize(
    ("architecture", "keys", "window", "layers"),
    [
        ("gemma3", {"attention__sliding_window": 1024}, 1024, 40),
        ("gemma2", {}, 4096, 24),
        ("gpt-oss", {"attention__sliding_window": 128}, 128, 24),
        ("gpt-oss", {"attention__sliding_window": 128, "attention__sliding_window_pattern": 3}, 128, 32),
        (
            "strange",
            {"attention__sliding_window": 512, "attention__sliding_window_pattern": [1, 1, 0, 1] * 12},
            512,
            36,
        ),
        ("gemma3n", {"attention__sliding_window": 512, "attention__shared_kv_layers": 8}, 512, 32),
        ("qwen2", {"attention__sliding_window": 4096}, 0, 0),
        ("cohere2", {"attention__sliding_window": 1 << 20}, 0, 0),
    ],
)
def test_windows(architecture: str, keys: dict[str, int | list[int]], window: int, layers: int) -> None:
    found = shape(architecture, **GEMMA, **keys)
    assert (found.sliding_window, found.sliding_layers) == (window, layers)


def test_hybrids_and_drafters() -> None:
    hybrid = shape("qwen3next", **{**GEMMA, "full_attention_interval": 4}, ssm__conv_kernel=4, ssm__inner_size=4096,
                   ssm__state_size=128, ssm__group_count=16)  # fmt: skip
    assert (hybrid.kv_layers, hybrid.linear_layers) == (12, 36)
    assert hybrid.linear_state_bytes == 4 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096)
    glm = shape("glm4moe", **{**GEMMA, "block_count": 47, "nextn_predict_layers": 1})
    assert (glm.layers, glm.kv_layers, glm.draft_layers) == (46, 46, 1)


def tensor(name: str, elements: int, offset: int) -> bytes:
    return text(name) + struct.pack("<IQIQ", 1, elements, 0, offset)


def test_bytes_by_kind() -> None:
    names = {
        "token_embd.weight": 64, "output.weight": 32, "output_norm.weight": 16, "blk.0.attn_q.weight": 48,
        "blk.0.attn_kv_a_mqa.weight": 80, "blk.0.ffn_down.weight": 96, "blk.0.ffn_down_exps.weight": 112,
        "blk.0.ffn_gate_inp.weight": 128, "blk.0.ffn_up_shexp.weight": 144, "blk.1.nextn.eh_proj.weight": 160,
        "blk.1.attn_q.weight": 176, "blk.0.ssm_in.weight": 192, "blk.0.attn_norm.weight": 208, "v.blk.0.attn_q.weight": 224,
    }  # fmt: skip
    entries, offset = [], 0
    for name, elements in names.items():
        entries.append(tensor(name, elements, offset))
        offset += 4 * elements
    keys = [pair("general.architecture", "x"), pair("x.block_count", 2), pair("x.nextn_predict_layers", 1)]
    head = gguf(keys, entries)
    found = header(head + bytes(-len(head) % 32 + offset))
    assert found.tensors == TensorBytes(
        embedding=4 * 64, output=4 * 32, small=4 * (16 + 128 + 208), attention=4 * (48 + 192), latent=4 * 80, dense=4 * 96,
        experts=4 * 112, shared_experts=4 * 144, draft=4 * (160 + 176), vision=4 * 224,
    )  # fmt: skip
    assert (found.tensors.total, found.expert_parameters) == (found.tensor_bytes, 112)
    assert found.geometry is not None
    assert not found.geometry.tied_embeddings
    assert header(TINY).geometry is not None


def test_every_tensor_of_the_reference_library_has_a_kind() -> None:
    library = pytest.importorskip("gguf")
    kinds = {name: kind_of(name.format(bid=0) + ".weight", 10) for name in library.TENSOR_NAMES.values()}
    of_experts = {name for name, kind in kinds.items() if kind == "experts"}
    assert {name for name in kinds if name.endswith(("_exps", "_chexps")) and "norm" not in name} == of_experts
    assert all(kind == "shared_experts" for name, kind in kinds.items() if name.endswith("shexp") and "inp" not in name)
    assert {kind for name, kind in kinds.items() if name.startswith("blk.{bid}.attn_") and "norm" not in name} <= {
        "attention", "latent", "small",
    }  # fmt: skip
    assert kinds["output"] == "output"
    assert kinds["token_embd"] == "embedding"
