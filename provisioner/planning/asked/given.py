"""What was set for an engine by name, held against what engines take: nonsense is refused before anything is planned with it."""

from collections.abc import Mapping, Sequence

from provisioner.errors import BadInput
from provisioner.model.plugins import Engine
from provisioner.planning.asked.amounts import GIB, whole_number

QUANTIZATION = "quantization"
BLOCK = "block-size"
DRAFTING = ("speculative-config", "speculative-algorithm", "speculative-draft-model-path", "model-draft", "spec-type")
ADAPTERS = ("lora-modules", "lora-paths", "lora", "enable-lora")
OFFLOADED = "cpu-offload-gb"
MOST_GIB = 1 << 20
"""More than any host has."""
BLOCK_STEP = 16
"""Tokens: the attention kernels of vLLM take multiples of it (0.32.0 v1/attention/backends/triton_attn.py, flash_attn.py)."""


def insist(options: Mapping[str, str], engines: Sequence[Engine]) -> None:
    """`BadInput` for a value that none of these engines takes; the flags themselves were looked at before."""
    for flag, value in options.items():
        known = tuple(dict.fromkeys(word for engine in engines for word in words(engine, flag)))
        if known and value not in known:
            raise BadInput(f"engine.{flag} is `{value}`", fix=f"one of {', '.join(known)}")
    told = next((flag for flag in ADAPTERS if flag in options), None)
    if told is not None:
        raise BadInput(f"engine.{told}: adapters are brought and counted", fix="`--set lora=NAME=FOLDER` names them")
    told = next((flag for flag in DRAFTING if flag in options), None)
    if told is not None:
        raise BadInput(
            f"engine.{told}: what drafts is brought and counted", fix="`--set drafting=ngram`, `mtp` or a PATH"
        )
    block = options.get(BLOCK)
    if block is not None and not (block.isdecimal() and int(block) and int(block) % BLOCK_STEP == 0):
        raise BadInput(
            f"engine.{BLOCK} is `{block}`", fix=f"a multiple of {BLOCK_STEP}: `--set engine.{BLOCK}=32`, for example"
        )


def words(engine: Engine, flag: str) -> tuple[str, ...]:
    """Those that this engine takes for the flag; none where it takes numbers, or anything."""
    if flag == QUANTIZATION and flag in engine.options:
        return tuple(dict.fromkeys(word for method in engine.methods.values() for word in method))
    return engine.values.get(flag, ())


def takes(engine: Engine, options: Mapping[str, str]) -> bool:
    return all(value in known for flag, value in options.items() if (known := words(engine, flag)))


def number(options: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        if name in options:
            try:
                return whole_number(options[name])
            except ValueError as error:
                example = 8 * GIB if name.endswith("-bytes") else 64
                raise BadInput(f"engine.{name}: {error}", fix=f"`--set engine.{name}={example}`, for example") from None
    return None


def offloaded(options: Mapping[str, str]) -> int:
    """Bytes of weights that each rank may leave to the host."""
    return int(_positive(options, OFFLOADED) * GIB)


def _positive(options: Mapping[str, str], name: str) -> float:
    """0 where nothing is set."""
    value = _float(options.get(name, "0"))
    if value is None or not 0 <= value < MOST_GIB:
        raise BadInput(f"engine.{name} is `{options[name]}`", fix=f"`--set engine.{name}=8`, for example")
    return value


def share(options: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        if name in options:
            value = _float(options[name])
            if value is None or not 0 < value <= 1:
                raise BadInput(f"engine.{name} is `{options[name]}`", fix=f"`--set engine.{name}=0.9`, for example")
            return value
    return None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
