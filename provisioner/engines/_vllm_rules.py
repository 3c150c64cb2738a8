"""What vLLM cannot run: cards, number formats, attention, degrees, and graphs of too many pieces."""

from collections.abc import Iterator

from provisioner.engines._constants import constant
from provisioner.engines._formats import cannot_draft, unsupported
from provisioner.engines._sharded import cannot_divide
from provisioner.engines._vllm_memory import PROCESSORS
from provisioner.model.load import Load

GRAPH_SIZES = 67
"""Batch sizes that a graph is captured for by default: 1, 2, 4 and every eighth up to 512."""


HEADS = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
"""Lengths of a head that attention on processors has kernels for (vllm 0.32.0 v1/attention/backends/cpu_attn.py)."""


def refuses(load: Load) -> str:
    """The first reason, with its remedy; empty when there is none."""
    return next(_reasons(load), "")


def _reasons(load: Load) -> Iterator[str]:
    yield from unsupported(load, "vLLM")
    if load.card.vendor == PROCESSORS:
        yield from _on_processors(load)
    yield from cannot_divide(load)
    yield from _captures(load)
    yield from cannot_draft(load, "vLLM")
    if load.card.vendor == PROCESSORS and load.drafts not in ("", "ngram"):
        yield "only drafting by words that repeat was seen to work on processors: `--set drafting=ngram`"


def _on_processors(load: Load) -> Iterator[str]:
    """What its build for processors lacks; instructions that are not known are not judged."""
    if load.card.architecture == "none":
        yield "its kernels for processors need AVX2 at least; take llama.cpp, which can do without"
    geometry = load.geometry
    if not geometry.kv_lora_rank and geometry.kv_heads and geometry.key_length not in HEADS:
        yield f"heads of {geometry.key_length} values have no kernel on processors ({', '.join(map(str, HEADS))} have); take llama.cpp"


def _captures(load: Load) -> Iterator[str]:
    """Graphs on Ascend are captured in pieces, one a layer, and the device has a limited number of streams for them."""
    most = constant(load, "graph_pieces").value
    pieces = GRAPH_SIZES * (load.geometry.layers + 1)
    if most and pieces > most and not load.eager:
        yield (
            f"graph capture needs {pieces} streams and the device has {most:.0f}; "
            "take vllm-ascend 0.9.1 or newer, or `--enforce-eager`"
        )
