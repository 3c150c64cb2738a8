"""Which words are names of a precision at all: any other is a slip of the hand, and no reason to refuse a machine."""

from collections.abc import Iterator

from provisioner.catalog import Catalog, unknown
from provisioner.planning.asked.names import GGUF
from provisioner.planning.memory.checkpoints import SCHEMES

OF_FILES = ("f16", "f32", "fp32", "mxfp8", "w8a16")
"""What headers of files say beside the names that the catalog has."""


def insist(catalog: Catalog, word: str) -> None:
    """`BadInput` with the nearest names for a word that no publisher and no file uses."""
    if word in SCHEMES or word in OF_FILES or GGUF.fullmatch(word.replace("_", " ")):
        return
    known = tuple(dict.fromkeys((*SCHEMES, *_published(catalog))))
    if word not in known:
        raise unknown("precision", word, known)


def _published(catalog: Catalog) -> Iterator[str]:
    for key in catalog.models:
        entry = catalog.model(key)
        yield from (one.precision for one in entry.checkpoints)
        yield from (one.precision for one in entry.gguf)
