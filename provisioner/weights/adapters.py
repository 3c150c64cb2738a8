"""Adapters (LoRA) in files of this machine: a folder as PEFT writes one, or a GGUF file. Of the weights the headers alone are read.

A folder holds `adapter_config.json` and `adapter_model.safetensors` (huggingface/peft, docs/source/developer_guides/checkpoint.md);
adapters as pickles are never read.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.weights import Adapter
from provisioner.weights.folder import header_of, read_small
from provisioner.weights.safetensors import Tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
EXAMPLE = "--set lora=NAME=FOLDER   (a folder with adapter_config.json and adapter_model.safetensors)"
TENSOR = re.compile(r".*\.layers\.(\d+)\.(?:\w+\.)*?(\w+)\.lora_(A|B)\.weight")
BESIDE = ("use_dora", "lora_bias", "modules_to_save", "alora_invocation_tokens")
"""What makes an adapter more than pairs of matrices: engines refuse it, or leave it out without a word."""


def adapter_in(name: str, path: str, hash_of: Callable[[str], str | None]) -> Adapter:
    """What the files say; `BadInput` where they are no adapter."""
    if path.endswith(".gguf"):
        size = _size(path)
        return Adapter(name, path, (WeightFile(f"{name}.gguf", size, hash_of(path), path),), size)
    missing = [file for file in (CONFIG, WEIGHTS) if not os.path.isfile(os.path.join(path, file))]
    if missing:
        raise BadInput(f"{path}: there is no {missing[0]} in this folder", fix=EXAMPLE)
    try:
        config = json.loads(read_small(os.path.join(path, CONFIG)))
        tensors = _tensors(os.path.join(path, WEIGHTS))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: no adapter that could be read: {error}", fix=EXAMPLE) from None
    return _described(name, path, config, tensors, hash_of)


def _described(
    name: str, path: str, config: object, tensors: tuple[Tensor, ...], hash_of: Callable[[str], str | None]
) -> Adapter:
    if not isinstance(config, dict) or config.get("peft_type") != "LORA" or not isinstance(config.get("r"), int):
        raise BadInput(f"{path}: {CONFIG} is of no LoRA adapter", fix=EXAMPLE)
    more = [word for word in BESIDE if config.get(word)]
    more += ["bias"] if config.get("bias", "none") != "none" else []
    shapes = dict(_shapes(tensors))
    if more or not shapes or len(shapes) * 2 != len(tensors):
        what = f"it has `{more[0]}`" if more else "it holds more than pairs of low-rank matrices"
        raise BadInput(f"{path}: {what}, which is not planned for", fix="merge it into its model, and serve that")
    files = tuple(_file(path, file, hash_of) for file in (CONFIG, WEIGHTS))
    return Adapter(
        name=name,
        path=path,
        files=files,
        bytes=sum(file.size_bytes for file in files),
        rank=max(rank for rank, _, _ in shapes.values()),
        base=str(config.get("base_model_name_or_path") or ""),
        layers=1 + max(layer for layer, _ in shapes),
        modules={module: (wide, out) for (_, module), (_, wide, out) in shapes.items()},
    )


def _shapes(tensors: tuple[Tensor, ...]) -> Iterator[tuple[tuple[int, str], tuple[int, int, int]]]:
    """By layer and module: the rank, what goes in and what comes out."""
    found: dict[tuple[int, str], dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        match = TENSOR.fullmatch(tensor.name)
        if match and len(tensor.shape) == 2:
            found.setdefault((int(match[1]), match[2]), {})[match[3]] = tuple(tensor.shape)
    for key, pair in found.items():
        if set(pair) == {"A", "B"} and pair["A"][0] == pair["B"][1]:
            yield key, (pair["A"][0], pair["A"][1], pair["B"][0])


def _tensors(path: str) -> tuple[Tensor, ...]:
    found = header_of(path)
    if isinstance(found, Unknown):
        raise ValueError(found.reason)
    return found


def _file(folder: str, name: str, hash_of: Callable[[str], str | None]) -> WeightFile:
    path = os.path.join(folder, name)
    return WeightFile(name, _size(path), hash_of(path), path)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise BadInput(f"{path}: {os.strerror(error.errno or 0)}", fix=EXAMPLE) from None


def adapters_at(paths: Mapping[str, str], hash_of: Callable[[str], str | None]) -> tuple[Adapter, ...]:
    return tuple(adapter_in(name, path, hash_of) for name, path in paths.items())
