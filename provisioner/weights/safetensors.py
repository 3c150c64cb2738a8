"""The header of a safetensors file: names, shapes and sizes of its tensors. Nothing behind the header is read.

The format: https://github.com/huggingface/safetensors#format; types and the bound on the header as in its
`safetensors/src/tensor.rs`. Every number in a file is a claim, and is held against the others.
"""

import json
from collections.abc import Callable, Mapping
from math import prod

from provisioner.model.record import dataclass
from provisioner.weights.fields import shown

Read = Callable[[int, int], bytes]
"""Bytes of the file: offset and size; fewer only at its end."""

LARGEST_HEADER = 100_000_000
LARGEST_INDEX = 64 << 20
MOST_TENSORS = 1 << 20
LENGTH = 8

BITS = {
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Index:
    """`model.safetensors.index.json`: which file each tensor is in."""

    total_bytes: int
    """As its writer summed it; 0 where it did not."""
    files: Mapping[str, str]

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.files.values())))


def read_header(read: Read, size: int) -> tuple[Tensor, ...]:
    """The tensors of one file; ValueError with what is wrong when it is damaged, hostile or cut short."""
    length = header_length(read(0, LENGTH), size)
    text = read(LENGTH, length)
    if len(text) < length:
        raise ValueError(f"the file is cut short: its header goes on beyond byte {LENGTH + len(text)}")
    return parse_header(text, size - LENGTH - length)


def header_length(start: bytes, size: int) -> int:
    """How long the header says that it is, which must fit into the file."""
    if len(start) < LENGTH:
        raise ValueError("it is no safetensors file: too short")
    length = int.from_bytes(start[:LENGTH], "little")
    if length > LARGEST_HEADER:
        raise ValueError(
            f"its header would be {length} bytes, more than {LARGEST_HEADER}: it is damaged, hostile or another format"
        )
    if length + LENGTH > size:
        raise ValueError(f"the file is cut short: its header ends at byte {LENGTH + length}, and it has only {size}")
    return length


def parse_header(text: bytes, data_bytes: int) -> tuple[Tensor, ...]:
    """The tensors that a header names, which must fill the rest of the file without a hole."""
    document = parse_object(text, "its header")
    if len(document) > MOST_TENSORS:
        raise ValueError(
            f"its header names {len(document)} tensors, more than {MOST_TENSORS}: it is damaged or hostile"
        )
    placed = [_placed(name, entry) for name, entry in document.items() if name != "__metadata__"]
    placed.sort(key=lambda one: one[:2])
    end = 0
    for begin, after, tensor in placed:
        if begin != end:
            raise ValueError(f"tensor {shown(tensor.name)} begins at byte {begin}, and the one before ends at {end}")
        end = after
    if end > data_bytes:
        raise ValueError(f"the file is cut short: its tensors take {end} bytes, and {data_bytes} are there")
    if end < data_bytes:
        raise ValueError(f"{data_bytes - end} bytes of the file belong to no tensor: it is damaged")
    return tuple(tensor for _, _, tensor in placed)


def _placed(name: str, entry: object) -> tuple[int, int, Tensor]:
    if not isinstance(entry, dict):
        raise ValueError(f"what its header says of tensor {shown(name)} is no object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        raise ValueError(f"tensor {shown(name)} has the unknown type {shown(dtype)}")
    sizes, place = _counts(shape), _counts(offsets)
    if sizes is None or place is None or len(place) != 2:
        raise ValueError(f"tensor {shown(name)} has no proper shape or place")
    bits = prod(sizes) * BITS[dtype]
    begin, after = place
    if bits % 8 or after - begin != bits // 8:
        raise ValueError(f"tensor {shown(name)} has {after - begin} bytes, and its shape and type make {bits / 8:.10g}")
    return begin, after, Tensor(name, dtype, sizes, bits // 8)


def _counts(value: object) -> tuple[int, ...] | None:
    if not isinstance(value, list) or len(value) > 8:
        return None
    return tuple(value) if all(type(one) is int and 0 <= one < 1 << 48 for one in value) else None


def parse_index(text: bytes) -> Index:
    """Which shard holds which tensor; names that would lead out of the folder are refused."""
    document = parse_object(text, "the index")
    files = document.get("weight_map")
    if not isinstance(files, dict) or not files:
        raise ValueError("the index has no `weight_map`")
    wrong = [
        name for name in files.values() if not isinstance(name, str) or "/" in name or not name.endswith(".safetensors")
    ]
    if wrong:
        raise ValueError(f"the index names {shown(wrong[0])}, which is no safetensors file of this folder")
    metadata = document.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return Index(int(total) if isinstance(total, int | float) and 0 <= total < 1 << 60 else 0, files)


def parse_object(text: bytes, what: str) -> dict[str, object]:
    """A JSON object from a stranger."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{what} is no JSON") from None
    if not isinstance(document, dict):
        raise ValueError(f"{what} is no JSON object")
    return document
