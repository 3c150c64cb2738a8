"""Which card a case ran on: by its name, by a size that is said, or not to be known."""

import re
from collections.abc import Iterator
from statistics import median

from provisioner.catalog import Catalog
from provisioner.model.load import Card
from provisioner.planning.asked.devices import named, usable_bytes

GIB = 1 << 30
SIZE = re.compile(r"(?<![A-Za-z\d.])(\d+(?:\.\d+)?)(?:\s*-\s*(\d+(?:\.\d+)?))?\s*(gib|gb|g)\b", re.IGNORECASE)
COUNT = re.compile(r"^\s*\d+\s*[x×]\s*|\s*(?<![a-z])[x×]\s*\d+\s*$", re.IGNORECASE)
COMMON = re.compile(
    r"\b(gpus?|cards?|class|vram|nvidia|type|not|stated|any|named|captured|same|as|above|cpu)\b", re.IGNORECASE
)
ALIKE = 2.5
"""A card that is only known by its size is taken like the catalog's NVIDIA cards within so many GB of it."""
AS_NEAR = 0.6
MODIFIED = "-mod"
"""Cards with more memory than their maker gave them are only meant where that is said."""
WHOLE = 0.98
"""Of the nominal size, where the catalog has no card like it."""


MORE = (
    (r"(?:rtx ?)?5080", 15.47, "sm120"), (r"5070 ?ti", 15.47, "sm120"), (r"5070", 11.5, "sm120"), (r"5060 ?ti", 15.47, "sm120"),
    (r"4080 ?super", 15.7, "sm89"), (r"4070 ?ti ?super", 15.6, "sm89"), (r"4070 ?ti", 11.6, "sm89"),
    (r"3090 ?ti", 23.5, "sm86"), (r"3080 ?ti", 11.6, "sm86"), (r"3060 ?ti", 7.7, "sm86"), (r"2080 ?ti.*22|22.*2080 ?ti", 21.48, "sm75"),
    (r"rtx ?a5000|\ba5000\b", 23.5, "sm86"), (r"rtx ?a4000|\ba4000\b", 15.7, "sm86"), (r"a4500", 19.6, "sm86"),
    (r"5000 ada", 31.5, "sm89"), (r"4500 ada", 23.5, "sm89"), (r"4000 ada", 19.6, "sm89"), (r"(?:quadro )?rtx ?8000", 47.4, "sm75"),
    (r"\bp100\b", 15.9, "sm60"), (r"\bp40\b", 23.9, "sm61"), (r"1080 ?ti", 10.9, "sm61"), (r"\ba2\b", 14.6, "sm86"),
    (r"pro 5000", 71.0, "sm120"), (r"pro 4500", 31.3, "sm120"), (r"agx thor|jetson thor", 122.8, "sm110"), (r"agx orin", 61.4, "sm87"),
)  # fmt: skip
"""Cards that the catalog does not plan for, with what a runtime finds on them in GiB: of most their size less what ones alike lack.

Read in logs were 21.48 (2080 Ti with 22 GB) and 15.51 (16 GB of the 50 series, less what a desktop takes); 122.8 is what the
shares of a Jetson AGX Thor add up to (weights, cache and the rest at 0.80 and 0.85).
"""


def card_of(catalog: Catalog, text: str, before: Card | None, usable_gib: float | None) -> Card | None:
    """None where neither a name nor a size is said; `before` is the card of the case above, for `the same`."""
    card = _named(catalog, text) or (before if "same" in text.lower() and not SIZE.search(text) else None)
    card = card or _further(text) or _sized(catalog, text)
    if usable_gib is None or usable_gib <= 0:
        return card
    size = int(usable_gib * GIB)
    if card is None:
        return Card("nvidia", text, size, size, "")
    return Card(card.vendor, card.name, size, size, card.architecture)


def count_of(text: str) -> int:
    """`8x H100`, `8 GPUs`, `22 GB x2`; 1 where no count is said."""
    found = re.search(r"^\s*(\d+)\s*(?:[x×]|gpus?\b)|(?<![a-z])[x×]\s*(\d+)\s*$", text, re.IGNORECASE)
    return int(found[1] or found[2]) if found else 1


def _named(catalog: Catalog, text: str) -> Card | None:
    """A size that is no card's of that name means another card of its kind."""
    said = SIZE.search(text)
    for words in _readings(text):
        found = _by_size(catalog, _known(catalog, words, text), said)
        if found is None:
            continue
        card = _card(catalog, found)
        memory = catalog.accelerator(found).memory_bytes
        if card is not None and said and memory and abs(memory / GIB - float(said[1])) > ALIKE + 1:
            size = _like(catalog, card.vendor, float(said[1]))
            return Card(card.vendor, text, size, size, card.architecture)
        return card
    return None


def _known(catalog: Catalog, words: str, text: str) -> tuple[str, ...]:
    modified = "mod" in text.lower()
    return tuple(name for name in named(catalog, words) if modified or not name.endswith(MODIFIED))


def _readings(text: str) -> Iterator[str]:
    """The text as it is, without remarks, without a count and a size, and each of its words that holds a digit."""
    bare = COUNT.sub("", re.sub(r"\([^)]*\)", " ", text)).split(",")[0].strip()
    without_size = SIZE.sub(" ", bare).strip()
    remarks = " ".join(re.findall(r"\(([^)]*)\)", text))
    whole = (text, bare, without_size, re.sub(r"^(?:hgx|dgx)-?|-?\d*gpus?$", "", bare, flags=re.IGNORECASE))
    yield from (reading for reading in whole if _tells(reading))
    words = (word for part in (bare, remarks) for word in re.split(r"[\s,/]+", part))
    yield from (word for word in words if _tells(word) and re.search(r"\d", word))


def _tells(reading: str) -> bool:
    """Whether anything is left beside sizes and words that every card answers to."""
    left = COMMON.sub(" ", SIZE.sub(" ", reading))
    return bool(re.search(r"[a-z]{3}|[a-z]\d|\d{4}", left, re.IGNORECASE))


def _by_size(catalog: Catalog, found: tuple[str, ...], said: re.Match[str] | None) -> str | None:
    """Of several cards with one name, the one of the size that is said, else the size that most of them have."""
    sizes = {name: catalog.accelerator(name).memory_bytes or 0 for name in found}
    if not sizes:
        return None
    if said:
        return min(sizes, key=lambda name: abs(sizes[name] / GIB - float(said[1])))
    middle = sorted(sizes.values())[len(sizes) // 2]
    alike = [name for name, size in sizes.items() if abs(size - middle) <= 0.02 * middle]
    return alike[0] if 2 * len(alike) > len(sizes) else None


def _further(text: str) -> Card | None:
    for pattern, gib, architecture in MORE:
        if re.search(pattern, text.lower()):
            return Card("nvidia", text, int(gib * GIB), int(gib * GIB), architecture)
    return None


def _card(catalog: Catalog, name: str) -> Card | None:
    entry = catalog.accelerator(name)
    size = usable_bytes(entry)
    if size is None:
        return None
    sm = entry.compute_capability.replace(".", "") if entry.compute_capability else ""
    return Card(entry.vendor, entry.name, size, size, entry.architecture or (f"sm{sm}" if sm else ""))


def _sized(catalog: Catalog, text: str) -> Card | None:
    """By the size alone. Figures with decimals are what a runtime reported, whole ones what is printed on the box."""
    exact = re.search(r"(\d+\.\d+)\s*gib\b", text, re.IGNORECASE)
    if exact:
        size = int(float(exact[1]) * GIB)
        return Card("nvidia", text, size, size, "")
    found = SIZE.search(text)
    if not found:
        return None
    nominal = (float(found[1]) + float(found[2] or found[1])) / 2
    vendor = next((name for word, name in _VENDORS if word in text.lower()), "nvidia")
    size = _like(catalog, vendor, nominal)
    return Card(vendor, text, size, size, "")


_VENDORS = (
    ("ascend", "ascend"),
    ("910", "ascend"),
    ("hygon", "hygon"),
    ("bw1", "hygon"),
    ("mi3", "amd"),
    ("amd", "amd"),
)


def _like(catalog: Catalog, vendor: str, nominal: float) -> int:
    """The middle of the cards that are nearest to that size."""
    entries = (catalog.accelerator(name) for name in catalog.accelerators if not name.endswith(MODIFIED))
    sizes = [
        (abs(entry.memory_bytes / GIB - nominal), size)
        for entry in entries
        if entry.vendor == vendor and entry.memory_bytes and (size := usable_bytes(entry))
    ]
    nearest = min((away for away, _ in sizes), default=ALIKE + 1)
    alike = [size for away, size in sizes if away <= nearest + AS_NEAR]
    return int(median(alike)) if nearest <= ALIKE else int(nominal * WHOLE * GIB)
