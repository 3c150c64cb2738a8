"""Whether an engine has kernels for a card, for a number format on it, and for the model's attention there, and whether it drafts: data, in words."""

from collections.abc import Iterator

from provisioner.engines._constants import constant
from provisioner.model.load import Load

NARROW_FLOATS = ("fp8", "fp8_block128", "mxfp4", "nvfp4", "mxfp4_fp8", "int4_fp8")


def capability(architecture: str) -> int | None:
    """`sm89` as 89; None for other makers and where it is not known."""
    digits = architecture.removeprefix("sm")
    return int(digits) if architecture.startswith("sm") and digits.isdigit() else None


def unsupported(load: Load, title: str) -> Iterator[str]:
    """Every reason, with its remedy. A card whose architecture is not known is not judged."""
    yield from _card(load, title)
    yield from _precision(load)
    yield from _cache(load)
    yield from _attention(load)


def _card(load: Load, title: str) -> Iterator[str]:
    build = constant(load, "built") if "built" in load.constants else None
    if build is not None and not build.value:
        yield f"{title} {load.version} is not built for {load.card.name} ({build.source})"
    have = capability(load.card.architecture)
    row = constant(load, "first_capability")
    if have is not None and have < row.value:
        yield (
            f"{title} {load.version} has no kernels for {load.card.architecture} and begins at sm{row.value:.0f} "
            f"({row.source}); take llama.cpp, or an older release that has them"
        )


def _precision(load: Load) -> Iterator[str]:
    name = f"capability_{load.precision}"
    if name not in load.constants:
        return
    have, row = capability(load.card.architecture), constant(load, name)
    if have is not None and have < row.value:
        yield (
            f"{load.precision} needs compute capability {row.value / 10:.1f}, and {load.card.name} has "
            f"{have / 10:.1f}; {instead(load.precision)}"
        )
    elif have is None and row.value < 0:
        other = instead(load.precision) if load.precision in (*NARROW_FLOATS, "bf16") else "take int8 or 16 bits"
        yield f"{load.card.name} has no kernels for {load.precision}; {other}"


def _cache(load: Load) -> Iterator[str]:
    """A cache in 8-bit floats is unpacked by kernels that not every card has."""
    if not load.cache_type.startswith("fp8"):
        return
    have, row = capability(load.card.architecture), constant(load, "capability_fp8_cache")
    if have is not None and have < row.value:
        yield (
            f"a cache in {load.cache_type} needs compute capability {row.value / 10:.1f}, and {load.card.name} has "
            f"{have / 10:.1f} ({row.source}); leave the cache in 16 bits"
        )
    elif have is None and row.value < 0:
        yield f"{load.card.name} has no kernels for a cache in {load.cache_type} ({row.source}); leave it in 16 bits"


def instead(precision: str) -> str:
    if precision == "bf16":
        return "take fp16 (`--dtype half`)"
    return "take int8, a 4-bit checkpoint or 16 bits" if precision in NARROW_FLOATS else "take 16 bits or GGUF"


def _attention(load: Load) -> Iterator[str]:
    if not load.geometry.kv_lora_rank:
        return
    have = capability(load.card.architecture)
    least = int(constant(load, "latent_capability").value)
    if have is not None and have < least:
        yield f"latent attention (MLA) has no backend below sm{least}; take llama.cpp or a newer card"


def cannot_draft(load: Load, title: str) -> Iterator[str]:
    """By its own documentation; a pipeline has its sampler and its drafter on different devices."""
    if not load.drafts:
        return
    row = constant(load, f"drafts_{load.drafts}")
    if not row.value:
        yield f"{title} {load.version} is not known to draft by {load.drafts} ({row.source}); leave `drafting` out"
    if load.degrees.pipeline > 1:
        yield "drafting was not seen to work over a pipeline; take tensor parallelism alone, or leave `drafting` out"
