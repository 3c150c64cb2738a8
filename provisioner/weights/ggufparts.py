"""A GGUF in parts as one file: what its header is, and which bytes of which part follow it. Only headers are read.

Parts are as llama.cpp's `tools/gguf-split/gguf-split.cpp` and `gguf-py/gguf/gguf_writer.py` write them: the first has all
metadata, and may have no tensor; the others have nothing but `split.*` keys and their tensors, aligned by the default.
"""

import struct
from collections.abc import Mapping, Sequence

from provisioner.model.record import dataclass
from provisioner.weights import gguf
from provisioner.weights.gguf import Read, TensorEntry
from provisioner.weights.ggufshape import Value

VERSION = 3
"""Of the whole; 2 has the same layout, and differs in what it says of big-endian files."""
SPLIT = "split."
NUMBER, COUNT, ITEMS = "split.no", "split.count", "split.tensors.count"
OFFSET = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Part:
    """One file of several: its metadata without what says that it is split, and where its tensors are."""

    pairs: tuple[bytes, ...]
    """Each key with its value, as they stand in the file."""
    values: Mapping[str, Value]
    tensors: tuple[TensorEntry, ...]
    infos: tuple[bytes, ...]
    """What stands in the file of each tensor, up to its offset."""
    data: int
    """Where its tensors begin."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one tensor, in the part of this number from 0."""

    part: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Whole:
    """The file that parts make: its header, then each piece; all of them filled up with zeros to the alignment."""

    header: bytes
    pieces: tuple[Piece, ...]
    alignment: int

    def padding(self, size: int) -> int:
        return -size % self.alignment

    @property
    def size(self) -> int:
        return len(self.header) + sum(piece.size + self.padding(piece.size) for piece in self.pieces)


def read_part(read: Read, size: int) -> Part:
    """The header of one part; ValueError with what is wrong with it."""
    cursor = gguf.Cursor(read, size)
    gguf.check_magic(cursor)
    tensors = cursor.count("the number of tensors", gguf.MOST_TENSORS)
    keys = cursor.count("the number of keys", gguf.MOST_KEYS)
    values: dict[str, Value] = {}
    pairs, entries, infos = [], [], []
    for _ in range(keys):
        begin = cursor.position
        if not gguf.read_pair(cursor, values, {}).startswith(SPLIT):
            pairs.append((begin, cursor.position))
    for _ in range(tensors):
        begin = cursor.position
        entries.append(gguf.read_tensor(cursor))
        infos.append((begin, cursor.position - OFFSET.size))
    data = gguf.start_of_data(entries, values, cursor.position, size)
    content = read(0, cursor.position)
    return Part(
        pairs=tuple(content[begin:end] for begin, end in pairs),
        values=values,
        tensors=tuple(entries),
        infos=tuple(content[begin:end] for begin, end in infos),
        data=data,
    )


def join(parts: Sequence[Part]) -> Whole:
    """All parts of one model in their order as one file; ValueError where they are no such thing."""
    for number, part in enumerate(parts):
        _check_place(part, number, len(parts))
        _check_model(part, number, parts[0])
    _check_tensors(parts)
    alignment = gguf.alignment_of(parts[0].values)
    pieces = tuple(
        Piece(number, part.data + entry.offset, entry.size)
        for number, part in enumerate(parts)
        for entry in part.tensors
    )
    header = _header(parts, pieces, alignment)
    return Whole(header + bytes(-len(header) % alignment), pieces, alignment)


def _header(parts: Sequence[Part], pieces: Sequence[Piece], alignment: int) -> bytes:
    pairs = parts[0].pairs
    infos = (info for part in parts for info in part.infos)
    offset, directory = 0, []
    for info, piece in zip(infos, pieces, strict=True):
        directory.append(info + OFFSET.pack(offset))
        offset += piece.size + -piece.size % alignment
    return b"".join((b"GGUF", struct.pack("<IQQ", VERSION, len(pieces), len(pairs)), *pairs, *directory))


def _check_place(part: Part, number: int, count: int) -> None:
    place, total = part.values.get(NUMBER), part.values.get(COUNT)
    if (place, total) == (number, count):
        return
    if not isinstance(place, int) or not isinstance(total, int):
        raise ValueError(f"part {number + 1} of {count} does not say that it is a part")
    raise ValueError(f"part {number + 1} of {count} says that it is part {place + 1} of {total}")


def _check_model(part: Part, number: int, first: Part) -> None:
    """What a part says besides its place, it says of the same model."""
    for key, value in part.values.items():
        known = first.values.get(key, value)
        if known != value and (not key.startswith(SPLIT) or key == ITEMS):
            raise ValueError(
                f"part {number + 1} is of another model: its `{key}` is {value!r}, that of part 1 {known!r}"
            )


def _check_tensors(parts: Sequence[Part]) -> None:
    places: dict[str, int] = {}
    for number, part in enumerate(parts):
        for entry in part.tensors:
            if entry.name in places:
                other = places[entry.name] + 1
                raise ValueError(f"part {number + 1} is of another model: `{entry.name}` is in part {other} already")
            places[entry.name] = number
    said = parts[0].values.get(ITEMS, len(places))
    if said != len(places):
        raise ValueError(f"the parts are of several models: they hold {len(places)} tensors, and {said} were divided")
