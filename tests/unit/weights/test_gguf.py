"""Headers of GGUF files: what they say, and that no damaged or hostile one does more than raise ValueError."""

import os
import struct
import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.model.weights import GgufHeader
from provisioner.weights.gguf import FILE_TYPES, TENSOR_TYPES, read_header
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
