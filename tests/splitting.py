"""Models in parts, written as `llama-gguf-split` and `convert_hf_to_gguf.py` write them; no code of the product has a hand in it."""

import struct
from collections.abc import Sequence
from itertools import pairwise

from provisioner.world import tinymodel
from provisioner.world.tinymodel import Tensor

DEFAULT = 32


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def count(key: str, value: int, kind: int = 4) -> bytes:
    forms = {2: "<H", 4: "<I", 5: "<i"}
    return text(key) + struct.pack("<I", kind) + struct.pack(forms[kind], value)


def padded(data: bytes, alignment: int) -> bytes:
    return data + bytes(-len(data) % alignment)


def gguf(pairs: Sequence[bytes], tensors: Sequence[Tensor], alignment: int = DEFAULT, version: int = 3) -> bytes:
    offset, infos = 0, []
    for tensor in tensors:
        shape = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        infos.append(text(tensor.name) + shape + struct.pack("<IQ", 1 if tensor.half else 0, offset))
        offset += len(padded(tensor.data, alignment))
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join((*pairs, *infos))
    return padded(head, alignment) + b"".join(padded(tensor.data, alignment) for tensor in tensors)


def split(
    pairs: Sequence[bytes], tensors: Sequence[Tensor], cuts: Sequence[int], alignment: int = DEFAULT, version: int = 3
) -> list[bytes]:
    """One part up to each cut, and one behind the last; the alignment of all but the first is the default."""
    edges = (0, *cuts, len(tensors))
    found = []
    for number, (begin, end) in enumerate(pairwise(edges)):
        place = [count("split.no", number, 2), count("split.count", len(edges) - 1, 2),
                 count("split.tensors.count", len(tensors), 5)]  # fmt: skip
        first = number == 0
        mine = [*pairs, *place] if first else place
        found.append(gguf(mine, tensors[begin:end], alignment if first else DEFAULT, version))
    return found


def tiny(cuts: Sequence[int]) -> list[bytes]:
    """The demo's model in parts."""
    return split(tuple(tinymodel._metadata()), tuple(tinymodel._tensors()), cuts)


def names(stem: str, parts: int) -> list[str]:
    return [f"{stem}-{number + 1:05}-of-{parts:05}.gguf" for number in range(parts)]
