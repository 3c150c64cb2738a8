"""The header of a GGUF file: what model it holds, and whether the file is whole. Nothing but the header is read.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; type numbers and block sizes as in
llama.cpp's `gguf-py/gguf/constants.py`. Every length in a file is a claim, and is held against a bound.
"""

import struct
from collections.abc import Callable, Mapping
from math import prod

from provisioner.model.record import dataclass
from provisioner.model.weights import GgufHeader
from provisioner.weights.ggufshape import Keys, Value, bytes_by_kind, geometry_of, kind_of, kv_layers

Read = Callable[[int, int], bytes]
"""Bytes of the file: offset and size; fewer only at its end."""

BLOCK = 1 << 20
LARGEST_HEADER = 128 << 20
LARGEST_TEXT = 1 << 20
MOST_KEYS = 1 << 14
MOST_TENSORS = 1 << 17
MOST_ITEMS = 1 << 21
"""Of all arrays together: the largest vocabularies have some 260,000 tokens and twice as many merges."""
KEPT_ITEMS = 1 << 10
"""Longer arrays (the vocabulary) are counted and not kept: nothing here needs their content."""

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
TEXT, ARRAY = 8, 9

TENSOR_TYPES = {
    0: ("f32", 1, 4), 1: ("f16", 1, 2), 2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22),
    7: ("q5_1", 32, 24), 8: ("q8_0", 32, 34), 9: ("q8_1", 32, 40), 10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110),
    12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176), 14: ("q6_k", 256, 210), 15: ("q8_k", 256, 292),
    16: ("iq2_xxs", 256, 66), 17: ("iq2_xs", 256, 74), 18: ("iq3_xxs", 256, 98), 19: ("iq1_s", 256, 50),
    20: ("iq4_nl", 32, 18), 21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82), 23: ("iq4_xs", 256, 136),
    24: ("i8", 1, 1), 25: ("i16", 1, 2), 26: ("i32", 1, 4), 27: ("i64", 1, 8), 28: ("f64", 1, 8),
    29: ("iq1_m", 256, 56), 30: ("bf16", 1, 2), 34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66),
    39: ("mxfp4", 32, 17), 40: ("nvfp4", 64, 36), 41: ("q1_0", 128, 18),
}  # fmt: skip
"""Name, elements of one block, bytes of one block."""

FILE_TYPES = {
    0: "f32", 1: "f16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 8: "q5_0", 9: "q5_1", 10: "q2_k", 11: "q3_k_s",
    12: "q3_k_m", 13: "q3_k_l", 14: "q4_k_s", 15: "q4_k_m", 16: "q5_k_s", 17: "q5_k_m", 18: "q6_k", 19: "iq2_xxs",
    20: "iq2_xs", 21: "q2_k_s", 22: "iq3_xs", 23: "iq3_xxs", 24: "iq1_s", 25: "iq4_nl", 26: "iq3_s", 27: "iq3_m",
    28: "iq2_s", 29: "iq2_m", 30: "iq4_xs", 31: "iq1_m", 32: "bf16", 36: "tq1_0", 37: "tq2_0", 38: "mxfp4",
    39: "nvfp4", 40: "q1_0",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorEntry:
    name: str
    type: int
    elements: int
    size: int
    offset: int


class Cursor:
    """Reads forward through a file in blocks; what lies outside the file or the bound is a ValueError."""

    def __init__(self, read: Read, size: int) -> None:
        self.read = read
        self.limit = min(size, LARGEST_HEADER)
        self.whole = size
        self.start = 0
        self.data = b""
        self.position = 0
        self.items = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        begin = self._reach(size)
        self.position += size
        return self.data[begin : begin + size]

    def number(self, form: str) -> int | float | bool:
        size = struct.calcsize(form)
        value: int | float | bool = struct.unpack_from(form, self.data, self._reach(size))[0]
        self.position += size
        return value

    def count(self, what: str, most: int) -> int:
        """A 64-bit length, refused where it cannot be true."""
        value = int(self.number("<Q"))
        if value > most:
            raise ValueError(f"{what} is {value}, more than {most}: the file is damaged or hostile")
        return value

    def text(self, what: str) -> str:
        return self.take(self.count(f"the length of {what}", LARGEST_TEXT)).decode("utf-8", "replace")

    def skip(self, size: int) -> None:
        if self.position + size > self.limit:
            raise ValueError(self._short())
        self.position += size

    def skip_texts(self, items: int) -> None:
        """Pass over many strings: the vocabulary of a model has hundreds of thousands."""
        unpack = struct.Struct("<Q").unpack_from
        while items:
            begin = self._reach(8)
            data, end, at = self.data, len(self.data) - 8, begin
            while items and at <= end:
                at += 8 + unpack(data, at)[0]
                items -= 1
            self.skip(at - begin)

    def _reach(self, size: int) -> int:
        """Where the next bytes lie in the block at hand, which is read if they are not in it."""
        if self.position + size > self.limit:
            raise ValueError(self._short())
        begin = self.position - self.start
        if begin + size > len(self.data):
            self.start = self.position
            self.data = self.read(self.position, min(max(size, BLOCK), self.limit - self.position))
            if len(self.data) < size:
                raise ValueError(self._short())
            begin = 0
        return begin

    def _short(self) -> str:
        if self.limit < self.whole:
            return f"its header is larger than {LARGEST_HEADER >> 20} MiB: the file is damaged or hostile"
        return f"the file is cut short: its header goes on beyond its end at byte {self.whole}"


def read_header(read: Read, size: int) -> GgufHeader:
    """What the file says of itself; ValueError with what is wrong when it is not GGUF, hostile or cut short."""
    cursor = Cursor(read, size)
    check_magic(cursor)
    tensors = cursor.count("the number of tensors", MOST_TENSORS)
    keys = cursor.count("the number of keys", MOST_KEYS)
    values: dict[str, Value] = {}
    counts: dict[str, int] = {}
    for _ in range(keys):
        read_pair(cursor, values, counts)
    entries = [read_tensor(cursor) for _ in range(tensors)]
    start_of_data(entries, values, cursor.position, size)
    return _describe(values, counts, entries)


def check_magic(cursor: Cursor) -> None:
    magic = cursor.take(4) if cursor.whole >= 24 else b""
    if magic != b"GGUF":
        raise ValueError(f"it is no GGUF file (it starts with {magic!r})" if magic else "it is no GGUF file: too short")
    version = int(cursor.number("<I"))
    if version in (2 << 24, 3 << 24):
        raise ValueError("it is a big-endian GGUF file, and no engine reads those on this machine")
    if version not in (2, 3):
        raise ValueError(f"its GGUF version is {version}; versions 2 and 3 can be read")


def read_pair(cursor: Cursor, values: dict[str, Value], counts: dict[str, int]) -> str:
    """Pass over one key and its value, which is kept unless it is a long array; the key."""
    key = cursor.text("a key")
    kind = int(cursor.number("<I"))
    if kind == TEXT:
        values[key] = cursor.text(f"the value of {key}")
    elif kind == ARRAY:
        _read_array(cursor, key, values, counts)
    else:
        values[key] = cursor.number(_form(kind, key))
    return key


def _form(kind: int, key: str) -> str:
    form = SCALARS.get(kind)
    if form is None:
        raise ValueError(f"the value of {key} has the unknown type {kind}")
    return form


def _read_array(cursor: Cursor, key: str, values: dict[str, Value], counts: dict[str, int]) -> None:
    kind = int(cursor.number("<I"))
    items = counts[key] = cursor.count(f"the number of items of {key}", MOST_ITEMS - cursor.items)
    cursor.items += items
    if kind == TEXT:
        cursor.skip_texts(items)
        return
    form = _form(kind, key)
    if items <= KEPT_ITEMS:
        values[key] = struct.unpack(f"<{items}{form[1]}", cursor.take(items * struct.calcsize(form)))
    else:
        cursor.skip(items * struct.calcsize(form))


def read_tensor(cursor: Cursor) -> TensorEntry:
    name = cursor.text("a tensor's name")
    dimensions = int(cursor.number("<I"))
    if dimensions > 4:
        raise ValueError(f"tensor {name} has {dimensions} dimensions; four is the most there can be")
    shape = struct.unpack(f"<{dimensions}Q", cursor.take(8 * dimensions))
    kind = int(cursor.number("<I"))
    if kind not in TENSOR_TYPES:
        raise ValueError(f"tensor {name} has the unknown type {kind}; a newer release of provision may know it")
    _, block, block_bytes = TENSOR_TYPES[kind]
    elements = prod(shape)
    if elements >= 1 << 48 or (shape and shape[0] % block):
        raise ValueError(f"tensor {name} cannot have the shape {shape}: the file is damaged or hostile")
    return TensorEntry(name, kind, elements, elements // block * block_bytes, int(cursor.number("<Q")))


def alignment_of(values: Mapping[str, Value]) -> int:
    """Where headers end and tensors begin is a multiple of this."""
    alignment = values.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
        raise ValueError(f"its alignment is {alignment!r}: the file is damaged or hostile")
    return alignment


def start_of_data(entries: list[TensorEntry], values: Mapping[str, Value], end: int, size: int) -> int:
    """Where the tensors of a file begin whose header ends here; ValueError where they go on beyond its end."""
    alignment = alignment_of(values)
    data = (end + alignment - 1) // alignment * alignment
    needed = max((data + entry.offset + entry.size for entry in entries), default=0)
    if needed > size:
        raise ValueError(f"the file is cut short: its tensors end at byte {needed}, and it has only {size}")
    return data


def _describe(values: Mapping[str, Value], counts: Mapping[str, int], entries: list[TensorEntry]) -> GgufHeader:
    template = values.get("tokenizer.chat_template")

    keys = Keys(values)
    hidden, heads = keys.count("embedding_length"), keys.count("attention.head_count")
    width = hidden // heads if heads else 0
    vocab = keys.count("vocab_size", counts.get("tokenizer.ggml.tokens", 0))
    shards = max(1, _number(values.get("split.count"), 1))
    experts = [entry.elements for entry in entries if kind_of(entry.name, keys.layers) == "experts"]
    return GgufHeader(
        architecture=keys.architecture,
        name=_text(values, "general.name"),
        layers=keys.layers,
        hidden=hidden,
        feed_forward=keys.count("feed_forward_length") or keys.count("expert_feed_forward_length"),
        heads=heads,
        kv_heads=keys.count("attention.head_count_kv", heads),
        kv_layers=kv_layers(keys),
        key_length=keys.count("attention.key_length", width),
        value_length=keys.count("attention.value_length", width),
        kv_lora_rank=keys.count("attention.kv_lora_rank"),
        rope_dimensions=keys.count("rope.dimension_count"),
        sliding_window=keys.count("attention.sliding_window"),
        experts=keys.count("expert_count"),
        experts_used=keys.count("expert_used_count"),
        context=keys.count("context_length"),
        vocab=vocab,
        quantization=_quantization(values, entries),
        parameters=sum(entry.elements for entry in entries),
        shard=_number(values.get("split.no"), 0),
        shards=shards,
        tensor_bytes=sum(entry.size for entry in entries),
        chat_template=template if isinstance(template, str) else None,
        geometry=geometry_of(keys, heads, vocab, shards == 1 and _is_tied(entries)),
        tensors=bytes_by_kind(((entry.name, entry.size) for entry in entries), keys.layers),
        expert_parameters=sum(experts),
    )


def _is_tied(entries: list[TensorEntry]) -> bool:
    """Without an output projection of its own, the embedding serves once more."""
    names = {entry.name for entry in entries}
    return "token_embd.weight" in names and "output.weight" not in names


def _text(values: Mapping[str, Value], key: str) -> str:
    value = values.get(key, "")
    return value if isinstance(value, str) else ""


def _number(value: Value | None, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _quantization(values: Mapping[str, Value], entries: list[TensorEntry]) -> str:
    named = FILE_TYPES.get(_number(values.get("general.file_type"), -1))
    if named is not None:
        return named
    shares: dict[str, int] = {}
    for entry in entries:
        name = TENSOR_TYPES[entry.type][0]
        shares[name] = shares.get(name, 0) + entry.size
    return max(shares, key=lambda name: shares[name], default="")
