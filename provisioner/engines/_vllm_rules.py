"""What vLLM cannot run: cards that its wheels no longer hold code for, number formats, attention, and degrees."""

from collections.abc import Iterator

from provisioner.engines._constants import constant
from provisioner.engines._sharded import cannot_divide, capability
from provisioner.model.load import Load

GRAPH_SIZES = 67
"""Batch sizes that a graph is captured for by default: 1, 2, 4 and every eighth up to 512."""


def refuses(load: Load) -> str:
    """The first reason, with its remedy; empty when there is none."""
    return next(_reasons(load), "")


def _reasons(load: Load) -> Iterator[str]:
    yield from _card(load)
    yield from _precision(load)
    yield from _attention(load)
    steps = int(constant(load, "fp8_expert_step").value), int(constant(load, "fp8_block_step").value)
    divided = cannot_divide(load, *steps)
    if divided:
        yield divided
    yield from _captures(load)


def _card(load: Load) -> Iterator[str]:
    """A card that is not known by its architecture is not judged."""
    sm = capability(load.card.architecture)
    least = int(constant(load, "first_capability").value)
    if sm is not None and sm < least:
        yield (
            f"no kernels for {load.card.architecture} in vLLM {load.version or 'of today'}, which begins at sm{least}; "
            "take vLLM 0.19.1, the last with sm70, or llama.cpp" if sm >= 70 else
            f"no kernels for {load.card.architecture} in vLLM, which begins at sm{least}; take llama.cpp"
        )  # fmt: skip


def _precision(load: Load) -> Iterator[str]:
    sm = capability(load.card.architecture)
    name = f"capability_{load.precision}"
    if name not in load.constants:
        return
    row = constant(load, name)
    if sm is not None and sm < row.value:
        yield (
            f"{load.precision} needs compute capability {row.value / 10:.1f}, and {load.card.name} has {sm / 10:.1f}; "
            f"{_instead(load.precision)}"
        )
    elif sm is None and row.value < 0:
        yield f"{load.card.name} has no {load.precision}; {_instead(load.precision)}"


def _instead(precision: str) -> str:
    if precision == "bf16":
        return "take fp16 (`--dtype half`)"
    if precision in ("fp8", "fp8_block128", "mxfp4", "nvfp4", "mxfp4_fp8", "int4_fp8"):
        return "take int8, a 4-bit checkpoint or 16 bits"
    return "take 16 bits or GGUF"


def _attention(load: Load) -> Iterator[str]:
    if not load.geometry.kv_lora_rank:
        return
    sm = capability(load.card.architecture)
    least = int(constant(load, "latent_capability").value)
    if sm is not None and sm < least:
        yield f"latent attention (MLA) has no backend below sm{least}; take llama.cpp or a newer card"


def _captures(load: Load) -> Iterator[str]:
    """Graphs on Ascend are captured in pieces, one a layer, and the device has a limited number of streams for them."""
    if load.eager or "graph_pieces" not in load.constants:
        return
    most = constant(load, "graph_pieces").value
    pieces = GRAPH_SIZES * (load.geometry.layers + 1)
    if most and pieces > most:
        yield (
            f"graph capture needs {pieces} streams and the device has {most:.0f}; "
            "take vllm-ascend 0.9.1 or newer, or `--enforce-eager`"
        )
