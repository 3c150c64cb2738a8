"""Which card a case ran on: by its name, by a size that is said, or not to be known."""

import re
from collections.abc import Iterator
from statistics import median

from provisioner.catalog import Catalog
from provisioner.model.load import Card
from provisioner.planning.devices import named, usable_bytes

GIB = 1 << 30
SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:\s*-\s*(\d+(?:\.\d+)?))?\s*(gib|gb|g)\b", re.IGNORECASE)
COUNT = re.compile(r"^\s*\d+\s*[x×]\s*|\s*[x×]\s*\d+\s*$", re.IGNORECASE)
ALIKE = 2.5
"""A card that is only known by its size is taken like the catalog's NVIDIA cards within so many GB of it."""
WHOLE = 0.98
"""Of the nominal size, where the catalog has no card like it."""


def card_of(catalog: Catalog, text: str, before: Card | None, usable_gib: float | None) -> Card | None:
    """None where neither a name nor a size is said; `before` is the card of the case above, for `the same`."""
    card = _named(catalog, text) or (before if "same" in text.lower() and not SIZE.search(text) else None)
    card = card or _sized(catalog, text)
    if usable_gib is None:
        return card
    size = int(usable_gib * GIB)
    if card is None:
        return Card("nvidia", text, size, size, "")
    return Card(card.vendor, card.name, size, size, card.architecture)


def count_of(text: str) -> int:
    """`8x H100`, `8 GPUs`, `22 GB x2`; 1 where no count is said."""
    found = re.search(r"^\s*(\d+)\s*(?:[x×]|gpus?\b)|[x×]\s*(\d+)\s*$", text, re.IGNORECASE)
    return int(found[1] or found[2]) if found else 1


def _named(catalog: Catalog, text: str) -> Card | None:
    for words in _readings(text):
        found = named(catalog, words)
        if len(found) == 1:
            return _card(catalog, found[0])
        near = _by_size(catalog, found, text)
        if near:
            return _card(catalog, near)
    return None


def _readings(text: str) -> Iterator[str]:
    """The text as it is, without remarks, without a count and a size, and each of its words that holds a digit."""
    bare = COUNT.sub("", re.sub(r"\([^)]*\)", " ", text)).split(",")[0].strip()
    without_size = SIZE.sub(" ", bare).strip()
    remarks = " ".join(re.findall(r"\(([^)]*)\)", text))
    words = (word for part in (bare, remarks) for word in re.split(r"[\s,/]+", part))
    for reading in (text, bare, without_size, *words):
        if re.search(r"[a-z]", reading, re.IGNORECASE) and re.search(r"\d", reading) and not SIZE.fullmatch(reading):
            yield reading
            yield re.sub(r"^(?:hgx|dgx)-?|-?\d*gpus?$", "", reading, flags=re.IGNORECASE)


def _by_size(catalog: Catalog, found: tuple[str, ...], text: str) -> str | None:
    """Of several cards with one name, the one of the size that is said; any where all are as large."""
    sizes = {name: catalog.accelerator(name).memory_bytes or 0 for name in found}
    if not sizes:
        return None
    said = SIZE.search(text)
    if said:
        return min(sizes, key=lambda name: abs(sizes[name] / GIB - float(said[1])))
    return min(sizes) if max(sizes.values()) <= 1.02 * min(sizes.values()) else None


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
    ("ascend", "huawei"),
    ("910", "huawei"),
    ("hygon", "hygon"),
    ("bw1", "hygon"),
    ("mi3", "amd"),
    ("amd", "amd"),
)


def _like(catalog: Catalog, vendor: str, nominal: float) -> int:
    entries = (catalog.accelerator(name) for name in catalog.accelerators)
    sizes = [
        size
        for entry in entries
        if entry.vendor == vendor and entry.memory_bytes and (size := usable_bytes(entry))
        and abs(entry.memory_bytes / GIB - nominal) <= ALIKE
    ]  # fmt: skip
    return int(median(sizes)) if sizes else int(nominal * WHOLE * GIB)
