"""What SGLang cannot run: cards, number formats, attention, degrees, and fp8 experts on cards without fp8."""

from collections.abc import Iterator

from provisioner.engines._constants import constant
from provisioner.engines._formats import cannot_draft, capability, instead, unsupported
from provisioner.engines._sharded import cannot_divide
from provisioner.model.load import Load


def refuses(load: Load) -> str:
    """The first reason, with its remedy; empty when there is none."""
    return next(_reasons(load), "")


def _reasons(load: Load) -> Iterator[str]:
    yield from unsupported(load, "SGLang")
    yield from cannot_divide(load)
    yield from _experts(load)
    yield from cannot_draft(load, "SGLang")
    if load.drafts in ("ngram", "draft") and load.degrees.data > 1:
        yield f"drafting by {load.drafts} does not work with attention in parallel groups; take tensor parallelism alone"
    if load.drafts == "ngram" and load.card.vendor != "nvidia":
        yield "drafting by words that repeat has kernels for CUDA alone; take a smaller model that drafts"


def _experts(load: Load) -> Iterator[str]:
    have = capability(load.card.architecture)
    row = constant(load, "fp8_expert_capability")
    fp8 = load.geometry.experts and load.precision in ("fp8", "fp8_block128")
    if fp8 and have is not None and have < row.value:
        yield f"fp8e4nv, the format of the experts, is not supported below sm{row.value:.0f}; {instead('fp8')}, or vLLM"
