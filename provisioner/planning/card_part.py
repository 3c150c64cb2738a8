"""What an engine that keeps experts in host memory reads for its card: the model's own checkpoint, beside the GGUF of the experts.

kt-kernel takes experts out of a GGUF, and SGLang all else out of safetensors, at whatever precision these are in: its wrapper
takes any of SGLang's methods (sglang 0.5.23 srt/layers/moe/kt_ep_wrapper.py; kvcache-ai/ktransformers@95009ea kt-kernel/README.md).
"""

from collections.abc import Iterator

from provisioner.model.catalog import ModelEntry
from provisioner.model.record import replace
from provisioner.model.weights import Shelf
from provisioner.planning import stock
from provisioner.planning.stock import Subject

FOLDER = "experts"
"""Beside the checkpoint, and with nothing but GGUF files: kt-kernel reads all that lie where it is told to look."""

PRECISIONS = ("bf16", "fp16", "fp8", "fp8_block128", "awq", "gptq")
"""Of which SGLang has methods for experts, and which are published for NVIDIA's cards."""

WIDE_ENOUGH = {"fp8": (8, 9), "fp8_block128": (8, 9)}
"""Below this compute capability SGLang's kernels refuse 8-bit floats of experts (gpustack/gpustack@47277d7, GLM-4.6-FP8 on A100)."""

MAKERS = frozenset(("nvidia",))


def checkpoints(entry: ModelEntry, shelf: Shelf, compute_capability: str | None) -> tuple[Subject, ...]:
    """Those that the card has kernels for: what is at hand first, then the model's own precision, then ever fewer bits."""
    found = tuple(_published(entry, shelf, compute_capability))
    return tuple(sorted(found, key=lambda one: (not _at_hand(one), one.precision != entry.native)))


def _published(entry: ModelEntry, shelf: Shelf, compute_capability: str | None) -> Iterator[Subject]:
    own = stock.published(entry, entry.native, MAKERS) if entry.native else None
    for one in sorted(entry.checkpoints, key=lambda one: -one.bytes):
        fits_own = own is None or one.bytes <= own.bytes
        if not one.repositories or not fits_own or not _computes(one.precision, compute_capability):
            continue
        subject = stock.from_checkpoint(entry, one.precision, shelf.source, MAKERS)
        if isinstance(subject, Subject):
            yield _with_files(subject, shelf)


def _computes(precision: str, compute_capability: str | None) -> bool:
    if precision not in PRECISIONS:
        return False
    major, _, minor = (compute_capability or "").partition(".")
    known = (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None
    return known is None or known >= WIDE_ENOUGH.get(precision, (0, 0))


def _with_files(subject: Subject, shelf: Shelf) -> Subject:
    if not shelf.folders and not shelf.offered:
        return subject
    from provisioner.planning.folders import with_files  # Only where something is at hand.

    found = with_files(subject, shelf)
    return found if isinstance(found, Subject) else subject


def _at_hand(subject: Subject) -> bool:
    return all(file.origin.startswith("/") for file in subject.files)


def joined(experts: Subject, card: Subject) -> Subject:
    """Both as one model in one folder: the checkpoint as it comes, and the experts in a folder of their own in it."""
    beside = tuple(replace(file, name=f"{FOLDER}/{file.name}") for file in experts.files)
    origin = f"experts: {experts.origin}; all else in {card.precision}: {card.origin}"
    return replace(experts, files=(*card.files, *beside), format=card.format, origin=origin)


def beside_bytes(subject: Subject) -> int:
    """What lies on the disk beside the files that the experts are read from."""
    return sum(file.size_bytes for file in subject.files if not file.name.startswith(f"{FOLDER}/"))
