"""One checkpoint from its own files: what `config.json` says, what the headers of its shards say, and whether all are there.

Where the files come from, this machine or a hub, is the caller's affair: it lists them and reads the small ones and headers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass, replace
from provisioner.model.weights import CheckpointFolder, ConfigFacts, TensorBytes
from provisioner.weights.fields import printable
from provisioner.weights.formats import PICKLES
from provisioner.weights.hfconfig import facts_of_config
from provisioner.weights.safetensors import Index, Tensor, parse_index, parse_object
from provisioner.weights.tensorkinds import Sums, sums_of

CONFIG, INDEX, QUANTIZATION = "config.json", "model.safetensors.index.json", "hf_quant_config.json"
PROGRAMS = (".py", *PICKLES)
"""What could run code: pickled weights that lie beside the same as safetensors, and the model's own programs."""
LARGEST_CONFIG = 4 << 20
MOST_SHARDS = 2048
SHARD = re.compile(r"^(?P<stem>.+)-(?P<number>\d{5})-of-(?P<of>\d{5})\.safetensors$")
BESIDE = re.compile(r"^((generation_|preprocessor_|processor_)?config|tokenizer(_config)?|special_tokens_map|added_tokens|vocab|"
                    r"tekken|chat_template|hf_quant_config|model\.safetensors\.index)\.json$|^merges\.txt$|^tokenizer\.model(\.v\d)?$|"
                    r"^\w+\.tiktoken$|^chat_template\.jinja$")  # fmt: skip
"""What engines read beside the weights. No Python file is ever among them."""
TYPES = {"BF16": "bf16", "F16": "fp16", "F32": "fp32"}
Part = TypeVar("Part", ConfigFacts, TensorBytes)
PACKED = {"gptq_int8": 8, "w8a16": 8}
"""Bits of a value for precisions that pack other than four of them."""


@dataclass(frozen=True, slots=True)
class Source:
    """How the files of one folder are had."""

    path: str
    source: str
    title: str
    files: Sequence[WeightFile]
    """All files of the folder itself, none of those below it."""
    small: Callable[[str], bytes]
    """A small file whole."""
    headers: Callable[[Sequence[WeightFile]], Mapping[str, tuple[Tensor, ...] | Unknown]]
    """The tensors of each of these files, or why they cannot be told."""


def is_checkpoint(names: Sequence[str]) -> bool:
    """Whether files of these names are a model that `config.json` describes; pickled ones are, to be refused with a reason."""
    return CONFIG in names and any(name.endswith((".safetensors", *PICKLES)) for name in names)


def describe(source: Source) -> CheckpointFolder:
    """Never raises for what the files say: what is wrong with them is in the record."""
    found = _described(source)
    return replace(found, config=_safe(found.config), tensors=_safe(found.tensors))


def _safe(part: Part | Unknown) -> Part | Unknown:
    """Reasons quote names out of the files, which may be anything."""
    return Unknown(printable(part.reason)) if isinstance(part, Unknown) else part


def _described(source: Source) -> CheckpointFolder:
    files = {file.name: file for file in source.files}
    config = _config(source, files)
    index = _index(source, files)
    shards = _shards(files, index)
    kept = (
        [file for name, file in files.items() if name in shards or BESIDE.match(name)]
        if not isinstance(shards, Unknown)
        else []
    )
    found = CheckpointFolder(source.path, source.source, source.title, tuple(kept), config, Unknown("not read"))
    found = replace(found, left_out=tuple(sorted(name for name in files if name.endswith(PROGRAMS))))
    if isinstance(shards, Unknown) or isinstance(config, Unknown):
        return replace(
            found, tensors=shards if isinstance(shards, Unknown) else Unknown("its config.json cannot be used")
        )
    tensors = _tensors(source.headers([files[name] for name in shards]), index)
    return replace(found, tensors=tensors) if isinstance(tensors, Unknown) else _summed(found, config, tensors)


def _summed(found: CheckpointFolder, config: ConfigFacts, tensors: list[Tensor]) -> CheckpointFolder:
    geometry = config.geometry
    sums = sums_of(tensors, geometry.layers, PACKED.get(config.precision, 4))
    idle = 1 - geometry.experts_used / geometry.experts if geometry.experts else 0.0
    return replace(
        found,
        config=replace(
            config,
            geometry=replace(geometry, parameters_outside_layers=sums.outside_parameters),
            precision=config.precision or _plain(sums),
        ),
        tensors=sums.bytes,
        parameters=sums.parameters,
        active_parameters=round(sums.parameters - sums.expert_parameters * idle),
    )


def _plain(sums: Sums) -> str:
    """Of a configuration that names no type: that of most of its tensors."""
    return TYPES.get(sums.types[0], "bf16") if sums.types else "bf16"


def _config(source: Source, files: Mapping[str, WeightFile]) -> ConfigFacts | Unknown:
    try:
        config = _document(source, files, CONFIG)
        beside = _document(source, files, QUANTIZATION) if QUANTIZATION in files else None
        return facts_of_config(config, beside)
    except ValueError as error:
        return Unknown(f"{source.title}: {CONFIG}: {error}")


def _document(source: Source, files: Mapping[str, WeightFile], name: str) -> dict[str, object]:
    if files[name].size_bytes > LARGEST_CONFIG:
        raise ValueError(f"{name} is larger than {LARGEST_CONFIG >> 20} MiB")
    return parse_object(source.small(name), name)


def _index(source: Source, files: Mapping[str, WeightFile]) -> Index | Unknown | None:
    if INDEX not in files:
        return None
    try:
        return parse_index(source.small(INDEX))
    except ValueError as error:
        return Unknown(f"{source.title}: {INDEX}: {error}")


def _shards(files: Mapping[str, WeightFile], index: Index | Unknown | None) -> tuple[str, ...] | Unknown:
    """The weight files that make up the model, all of them there."""
    if isinstance(index, Unknown):
        return index
    names = index.names() if index else _unlisted(files)
    if isinstance(names, Unknown):
        return names
    if not names:
        pickled = sorted(name for name in files if name.endswith(PICKLES))
        return Unknown(
            f"its weights are pickled ({pickled[0]}), and files of this kind can run code when they are loaded: "
            "bring the model as safetensors or GGUF" if pickled else "it has no safetensors files"
        )  # fmt: skip
    missing = [name for name in names if name not in files]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return Unknown(
            f"{missing[0]}{more} of its {len(names)} parts are missing: bring them, or download the model anew"
        )
    return names if len(names) <= MOST_SHARDS else Unknown(f"it has {len(names)} parts, more than {MOST_SHARDS}")


def _unlisted(files: Mapping[str, WeightFile]) -> tuple[str, ...] | Unknown:
    """Without an index: one file, or parts that say how many they are."""
    for name in sorted(files):
        part = SHARD.match(name)
        if part and 0 < int(part["of"]) <= MOST_SHARDS:
            whole = range(1, int(part["of"]) + 1)
            return tuple(f"{part['stem']}-{number:05}-of-{part['of']}.safetensors" for number in whole)
    single = [name for name in files if name.endswith(".safetensors") and not name.startswith("adapter_")]
    if "model.safetensors" in single:
        return ("model.safetensors",)
    if len(single) > 1:
        return Unknown(
            f"it has {len(single)} safetensors files and no {INDEX}: which of them belong together is not known"
        )
    return tuple(single)


def _tensors(
    headers: Mapping[str, tuple[Tensor, ...] | Unknown], index: Index | Unknown | None
) -> list[Tensor] | Unknown:
    """All tensors, each where the index says that it is."""
    found: dict[str, Tensor] = {}
    where: dict[str, str] = {}
    for name, header in headers.items():
        if isinstance(header, Unknown):
            return Unknown(f"{name}: {header.reason}")
        for tensor in header:
            if tensor.name in found:
                return Unknown(f"{name}: tensor {tensor.name[:80]} is in {where[tensor.name]} as well")
            found[tensor.name] = tensor
            where[tensor.name] = name
    said = index.files if isinstance(index, Index) else {}
    wrong = next((tensor for tensor, name in said.items() if where.get(tensor) != name), None)
    if wrong is not None:
        return Unknown(f"{said[wrong]}: the index says that tensor {wrong[:80]} is in it, and it is not")
    return list(found.values())
