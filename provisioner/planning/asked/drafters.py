"""Who drafts tokens ahead, as people write it."""

from provisioner.errors import BadInput
from provisioner.model.record import dataclass

NGRAM, MTP, MODEL = "ngram", "mtp", "draft"

TOKENS = {NGRAM: 5, MTP: 1, MODEL: 5}
"""Ahead at a time, where nobody said how many (docs.vllm.ai features/speculative_decoding; vllm-project/recipes @8959cf6)."""

EXAMPLE = "`--set drafting=ngram`, `mtp`, or the path of a smaller model, with `:N` for N tokens ahead"


@dataclass(frozen=True, slots=True)
class Drafting:
    method: str
    tokens: int
    path: str = ""
    """Of the smaller model."""


def parse(text: str) -> Drafting:
    """`ngram`, `mtp:2`, `/srv/models/small:4`."""
    word, colon, count = text.strip().rpartition(":")
    if not (colon and count.isdecimal()):
        word, count = text.strip(), ""
    method = MODEL if word.startswith("/") else word.lower()
    if method not in TOKENS or count == "0":
        raise BadInput(f"drafting is `{text}`", fix=EXAMPLE)
    return Drafting(method, int(count) if count else TOKENS[method], word if method == MODEL else "")
