"""The demo's model, made on the spot: random weights that speak in syllables, the same bytes on every machine.

It is written with the standard library alone, because its hash is part of the plan: no version of another
library may move a byte of it. Nothing here stems from a trained model.
"""

import hashlib
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

NAME = "provision demo: random weights that speak gibberish"
LAYERS, HIDDEN, INTERMEDIATE = 2, 256, 512
HEADS, KV_HEADS, HEAD_DIM = 4, 2, 64
CONTEXT = 4096
ALIGNMENT = 32

SYLLABLES = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# One dimension of the hidden state is the same for every token and no layer writes to it. The output matrix
# reads it: tokens that may be spoken gain by it, all others (the end of text among them) lose by as much.
STEADY = 16.0
SPOKEN, UNSPOKEN = 1.0, -1.0


@dataclass(frozen=True, slots=True)
class Tensor:
    """`shape` is innermost first, as GGUF wants it; the data is little-endian F16 or F32."""

    name: str
    shape: tuple[int, ...]
    half: bool
    data: bytes


def write(path: str) -> str:
    """Make the model at `path` and return its sha256; a reader sees all of it or nothing."""
    content = model_bytes()
    part = f"{path}.tmp"
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError:
        if os.path.exists(part):
            os.unlink(part)
        raise
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return hashlib.sha256(content).hexdigest()


def sha256() -> str:
    """The hash that the model has before it is written."""
    return hashlib.sha256(model_bytes()).hexdigest()


def model_bytes() -> bytes:
    tensors = tuple(_tensors())
    metadata = tuple(_metadata())
    head = b"".join(
        (b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata)), *metadata, *_directory(tensors)),
    )
    return b"".join((_padded(head), *(_padded(tensor.data) for tensor in tensors)))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGNMENT)


def _directory(tensors: Iterable[Tensor]) -> Iterator[bytes]:
    offset = 0
    for tensor in tensors:
        dimensions = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        yield _string(tensor.name) + dimensions + struct.pack("<IQ", 1 if tensor.half else 0, offset)
        offset += len(_padded(tensor.data))


# Metadata: a key, the number of its type, its value.


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _text(key: str, value: str) -> bytes:
    return _string(key) + struct.pack("<I", 8) + _string(value)


def _count(key: str, value: int) -> bytes:
    return _string(key) + struct.pack("<II", 4, value)


def _real(key: str, value: float) -> bytes:
    return _string(key) + struct.pack("<If", 6, value)


def _flag(key: str, value: bool) -> bytes:
    return _string(key) + struct.pack("<IB", 7, value)


def _texts(key: str, values: Iterable[str]) -> bytes:
    items = [_string(value) for value in values]
    return _string(key) + struct.pack("<IIQ", 9, 8, len(items)) + b"".join(items)


def _integers(key: str, values: tuple[int, ...]) -> bytes:
    return _string(key) + struct.pack(f"<IIQ{len(values)}i", 9, 5, len(values), *values)


def _metadata() -> Iterator[bytes]:
    yield _text("general.architecture", "qwen2")
    yield _text("general.type", "model")
    yield _text("general.name", NAME)
    yield _text("general.license", "apache-2.0")
    yield _count("general.file_type", 1)
    yield _count("qwen2.block_count", LAYERS)
    yield _count("qwen2.context_length", CONTEXT)
    yield _count("qwen2.embedding_length", HIDDEN)
    yield _count("qwen2.feed_forward_length", INTERMEDIATE)
    yield _count("qwen2.attention.head_count", HEADS)
    yield _count("qwen2.attention.head_count_kv", KV_HEADS)
    yield _real("qwen2.attention.layer_norm_rms_epsilon", 1e-6)
    yield _real("qwen2.rope.freq_base", 10000.0)
    yield _text("tokenizer.ggml.model", "gpt2")
    yield _text("tokenizer.ggml.pre", "qwen2")
    tokens = vocabulary()
    yield _texts("tokenizer.ggml.tokens", tokens)
    yield _integers("tokenizer.ggml.token_type", tuple(3 if token in SPECIALS else 1 for token in tokens))
    yield _texts("tokenizer.ggml.merges", merges())
    yield _count("tokenizer.ggml.eos_token_id", tokens.index("<|im_end|>"))
    yield _count("tokenizer.ggml.padding_token_id", tokens.index("<|endoftext|>"))
    yield _flag("tokenizer.ggml.add_bos_token", False)
    yield _text("tokenizer.chat_template", CHAT_TEMPLATE)


# The vocabulary: every byte, every syllable, every syllable that starts a word.


def byte_letters() -> tuple[str, ...]:
    """The letter that byte-level BPE writes for each byte: itself where it is printable, else one from 256 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


def vocabulary() -> tuple[str, ...]:
    space = byte_letters()[0x20]
    return (*byte_letters(), *SYLLABLES, *(space + syllable for syllable in SYLLABLES), *SPECIALS)


def merges() -> Iterator[str]:
    space = byte_letters()[0x20]
    yield from (f"{syllable[0]} {syllable[1]}" for syllable in SYLLABLES)
    yield from (f"{space} {syllable}" for syllable in SYLLABLES)


def _is_spoken(token: str) -> bool:
    return token[-2:] in SYLLABLES and token not in SPECIALS


# The tensors: bytes of SHAKE-256 over the tensor's name, each byte one of 256 evenly spaced values.


def _tensors() -> Iterator[Tensor]:
    tokens = vocabulary()
    yield _with_first_column(_random("token_embd.weight", (HIDDEN, len(tokens)), 1.0), [STEADY] * len(tokens))
    for layer in range(LAYERS):
        yield from _layer(f"blk.{layer}")
    yield _constant("output_norm.weight", HIDDEN, 1.0)
    wanted = [SPOKEN if _is_spoken(token) else UNSPOKEN for token in tokens]
    yield _with_first_column(_random("output.weight", (HIDDEN, len(tokens)), 0.25), wanted)


def _layer(block: str) -> Iterator[Tensor]:
    queries, keys = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    yield _constant(f"{block}.attn_norm.weight", HIDDEN, 1.0)
    for name, width in (("q", queries), ("k", keys), ("v", keys)):
        yield _random(f"{block}.attn_{name}.weight", (HIDDEN, width), 0.1)
        yield _constant(f"{block}.attn_{name}.bias", width, 0.0)
    yield _with_silent_first_row(_random(f"{block}.attn_output.weight", (queries, HIDDEN), 0.1))
    yield _constant(f"{block}.ffn_norm.weight", HIDDEN, 1.0)
    yield _random(f"{block}.ffn_gate.weight", (HIDDEN, INTERMEDIATE), 0.1)
    yield _random(f"{block}.ffn_up.weight", (HIDDEN, INTERMEDIATE), 0.1)
    yield _with_silent_first_row(_random(f"{block}.ffn_down.weight", (INTERMEDIATE, HIDDEN), 0.1))


def _constant(name: str, size: int, value: float) -> Tensor:
    return Tensor(name, (size,), False, struct.pack("<f", value) * size)


def _random(name: str, shape: tuple[int, int], scale: float) -> Tensor:
    bits = hashlib.shake_256(name.encode()).digest(shape[0] * shape[1])
    halves = [struct.pack("<e", scale * (byte - 127.5) / 127.5) for byte in range(256)]
    data = bytearray(2 * len(bits))
    data[0::2] = bits.translate(bytes(half[0] for half in halves))
    data[1::2] = bits.translate(bytes(half[1] for half in halves))
    return Tensor(name, shape, True, bytes(data))


def _with_first_column(tensor: Tensor, values: list[float]) -> Tensor:
    data = bytearray(tensor.data)
    column = struct.pack(f"<{len(values)}e", *values)
    data[0 :: 2 * tensor.shape[0]] = column[0::2]
    data[1 :: 2 * tensor.shape[0]] = column[1::2]
    return Tensor(tensor.name, tensor.shape, True, bytes(data))


def _with_silent_first_row(tensor: Tensor) -> Tensor:
    row = 2 * tensor.shape[0]
    return Tensor(tensor.name, tensor.shape, True, bytes(row) + tensor.data[row:])


if __name__ == "__main__":
    sys.stdout.write(write(sys.argv[1]) + "\n")
