"""Parts of a GGUF as one file: the very file that was divided, and a reason where they are not of one."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.weights.gguf import read_header
from provisioner.weights.ggufparts import Part, Whole, join, read_part
from provisioner.world import tinymodel
from provisioner.world.tinymodel import Tensor
from tests.splitting import count, gguf, split, text, tiny


def parsed(data: bytes) -> Part:
    return read_part(lambda offset, size: data[offset : offset + size], len(data))


def laid_out(parts: list[bytes]) -> Whole:
    return join([parsed(part) for part in parts])


def written(parts: list[bytes]) -> bytes:
    whole = laid_out(parts)
    made = [whole.header]
    for piece in whole.pieces:
        made += (parts[piece.part][piece.offset : piece.offset + piece.size], bytes(whole.padding(piece.size)))
    content = b"".join(made)
    assert len(content) == whole.size
    return content


@pytest.mark.parametrize("cuts", [(), (1,), (7,), (5, 6), (0,), (0, 10), (3, 3, 20), (1, 2, 3, 4)])
def test_the_tiny_model_is_again_what_it_was(cuts: tuple[int, ...]) -> None:
    """A cut at 0 is how `convert_hf_to_gguf.py --no-tensor-first-split` begins."""
    assert written(tiny(cuts)) == tinymodel.model_bytes()


def tensor(name: str, values: int) -> Tensor:
    return Tensor(name, (values,), False, struct.pack("<f", len(name)) * values)


FOUR = tuple(tensor(f"blk.{number}.attn_norm.weight", number * 7 + 1) for number in range(4))
NAMED = (text("general.architecture") + struct.pack("<I", 8) + text("llama"),)

MODELS = st.builds(
    lambda sizes, alignment, version, keys: (
        [tensor(f"t{number}", size) for number, size in enumerate(sizes)],
        alignment,
        version,
        [count(f"k{number}", value) for number, value in enumerate(keys)],
    ),
    st.lists(st.integers(1, 40), max_size=8),
    st.sampled_from((8, 16, 32, 64, 4096)),
    st.sampled_from((2, 3)),
    st.lists(st.integers(0, 2**32 - 1), max_size=4),
)


@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(MODELS, st.data())
def test_whatever_was_divided_wherever(model: tuple[list[Tensor], int, int, list[bytes]], data: st.DataObject) -> None:
    tensors, alignment, version, keys = model
    cuts = sorted(data.draw(st.lists(st.integers(0, len(tensors)), max_size=4)))
    pairs = [*keys, count("general.alignment", alignment)]
    assert written(split(pairs, tensors, cuts, alignment, version)) == gguf(pairs, tensors, alignment)


@pytest.mark.parametrize("bare_first", [False, True])
def test_parts_of_the_reference_library(tmp_path: Path, bare_first: bool) -> None:
    """As `convert_hf_to_gguf.py --split-max-tensors 2` writes them, with and without `--no-tensor-first-split`."""
    gguf_library, numpy = pytest.importorskip("gguf"), pytest.importorskip("numpy")

    def write(name: str, **division: object) -> None:
        writer = gguf_library.GGUFWriter(tmp_path / name, "llama", **division)
        writer.add_block_count(3)
        writer.add_token_list([f"token {number}" for number in range(2000)])
        for number in range(5):
            writer.add_tensor(f"t{number}", numpy.full((number + 1, 33), number, dtype=numpy.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    write("whole.gguf")
    write("split.gguf", split_max_tensors=2, small_first_shard=bare_first)
    parts = sorted(tmp_path.glob("split-*-of-*.gguf"))
    assert len(parts) == 3 + bare_first
    assert written([part.read_bytes() for part in parts]) == (tmp_path / "whole.gguf").read_bytes()


def test_no_key_says_that_the_whole_is_split() -> None:
    content = written(split(NAMED, FOUR, (2,)))
    assert b"split." not in content
    found = read_header(lambda offset, size: content[offset : offset + size], len(content))
    assert (found.architecture, found.shards, found.parameters) == ("llama", 1, sum(len(one.data) for one in FOUR) // 4)


PARTS = split(NAMED, FOUR, (1, 2))
OTHER = split(NAMED, [tensor(f"blk.{number}.ffn_norm.weight", 3) for number in range(5)], (1, 2))
TWO = split(NAMED, FOUR, (2,))


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (PARTS[:2], "part 1 of 2 says that it is part 1 of 3"),
        ([PARTS[0], PARTS[2], PARTS[1]], "part 2 of 3 says that it is part 3 of 3"),
        ([PARTS[1], PARTS[0], PARTS[2]], "part 1 of 3 says that it is part 2 of 3"),
        ([PARTS[0], PARTS[1], PARTS[1]], "part 3 of 3 says that it is part 2 of 3"),
        ([PARTS[0], TWO[1], PARTS[2]], "part 2 of 3 says that it is part 2 of 2"),
        ([PARTS[0], OTHER[1], PARTS[2]], r"part 2 is of another model: its `split\.tensors\.count` is 5, .* 4"),
        ([*PARTS[:2], gguf(NAMED, FOUR[2:])], "part 3 of 3 does not say that it is a part"),
    ],
)
def test_parts_that_are_not_of_one_model(parts: list[bytes], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        laid_out(parts)


def place(number: int, of: int) -> list[bytes]:
    """Without the number of all tensors, as older versions of the tools left it."""
    return [count("split.no", number, 2), count("split.count", of, 2)]


def test_a_tensor_that_is_there_twice() -> None:
    parts = [gguf([*NAMED, *place(0, 2)], FOUR[:2]), gguf(place(1, 2), FOUR[1:])]
    with pytest.raises(
        ValueError, match=r"part 2 is of another model: `blk\.1\.attn_norm\.weight` is in part 1 already"
    ):
        laid_out(parts)


def test_a_part_that_names_another_architecture() -> None:
    other = text("general.architecture") + struct.pack("<I", 8) + text("qwen2")
    with pytest.raises(ValueError, match=r"its `general\.architecture` is 'qwen2', that of part 1 'llama'"):
        laid_out([gguf([*NAMED, *place(0, 2)], FOUR[:2]), gguf([other, *place(1, 2)], FOUR[2:])])


def test_parts_that_lack_a_tensor() -> None:
    parts = [gguf([*NAMED, *place(0, 2), count("split.tensors.count", 4, 5)], FOUR[:2]), gguf(place(1, 2), FOUR[3:])]
    with pytest.raises(ValueError, match="they hold 3 tensors, and 4 were divided"):
        laid_out(parts)


def test_a_part_that_is_cut_short() -> None:
    with pytest.raises(ValueError, match="cut short"):
        parsed(PARTS[1][:-32])
