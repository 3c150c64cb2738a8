"""Names of accelerators: by catalog id, driver name or marketing name, case, spaces and dashes apart."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import cast

from provisioner.catalog import Catalog
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.load import Card

BRANDS = (
    "nvidia",
    "geforce",
    "tesla",
    "amd",
    "instinct",
    "huawei",
    "ascend",
    "hygon",
    "kunlunxin",
    "kunlun",
    "apple",
    "quadro",
)
NEAR = 0.1
"""Two cards of one name are told apart by memory; drivers report up to a tenth less than the catalog."""

KEPT_BACK = {"nvidia": 1 << 29, "ascend": 3 << 30}
"""Between the driver's figure and the runtime's: 0.43 to 0.75 GiB on ten NVIDIA cards of the catalog, 2.5 to 3 on Ascend."""


def entry_of(catalog: Catalog, accelerator: Accelerator) -> AcceleratorEntry | None:
    """The catalog's entry for a card that is there: the same name, and the nearest memory where several share it."""
    memory = 0 if isinstance(accelerator.memory_bytes, Unknown) else accelerator.memory_bytes
    found = [catalog.accelerator(key) for key in _by_name(catalog).get(plain(accelerator.name), ())]
    return min(found, key=lambda entry: abs((entry.memory_bytes or 0) - memory), default=None)


def _by_name(catalog: Catalog) -> Mapping[str, tuple[str, ...]]:
    """Ids by plain driver name, made once for a catalog."""
    place = "accelerators by name"
    if place not in catalog.decoded:
        found: dict[str, tuple[str, ...]] = {}
        for key, names in _all_names(catalog):
            for name in dict.fromkeys(map(plain, names)):
                found[name] = (*found.get(name, ()), key)
        catalog.decoded[place] = found
    return cast("Mapping[str, tuple[str, ...]]", catalog.decoded[place])


def card_of(catalog: Catalog, accelerator: Accelerator) -> Card:
    """The card as an engine meets it: the runtime's figure for all of its memory is below the driver's."""
    entry = entry_of(catalog, accelerator)
    told = 0 if isinstance(accelerator.memory_bytes, Unknown) else accelerator.memory_bytes
    free = told if isinstance(accelerator.free_bytes, Unknown) else accelerator.free_bytes
    total = _runtime_bytes(entry, accelerator.vendor, told)
    return Card(
        vendor=accelerator.vendor,
        name=entry.id if entry else accelerator.name,
        total_bytes=total,
        free_bytes=min(total, free),
        architecture=architecture(accelerator, entry),
    )


def link_of(catalog: Catalog, facts: HostFacts) -> Callable[[Accelerator], str | None] | None:
    """The catalog's word for a card's links, for a machine whose description leaves them out; None where they are known."""
    if "accelerators.links" not in facts.assumed:
        return None

    def word(card: Accelerator) -> str | None:
        entry = entry_of(catalog, card)
        return entry.link if entry else None

    return word


def _runtime_bytes(entry: AcceleratorEntry | None, vendor: str, told: int) -> int:
    """What was logged for this card, if it has as much memory as the one that was logged; else less what is kept back."""
    if entry and entry.usable_bytes and entry.memory_bytes and abs(told - entry.memory_bytes) <= NEAR * told:
        return min(entry.usable_bytes, told)
    return max(0, told - KEPT_BACK.get(vendor, 0))


def architecture(accelerator: Accelerator, entry: AcceleratorEntry | None) -> str:
    """`sm89` for compute capability 8.9; the maker's own word for others."""
    capability = accelerator.compute_capability or (entry.compute_capability if entry else None)
    if capability:
        return f"sm{capability.replace('.', '')}"
    return accelerator.architecture or (entry.architecture if entry else None) or ""


def _driver_names(catalog: Catalog) -> Iterator[tuple[str, str]]:
    for key, raw in catalog.accelerators.items():
        if isinstance(raw, Mapping):
            yield key, str(raw["name"])


def usable_bytes(entry: AcceleratorEntry) -> int | None:
    """What a program's runtime reports as the whole device: as it was logged, else what drivers usually keep back is taken off."""
    if entry.usable_bytes is not None or entry.memory_bytes is None:
        return entry.usable_bytes
    return entry.memory_bytes - KEPT_BACK.get(entry.vendor, 0)


def _all_names(catalog: Catalog) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Every name that a driver or a tool may give the card."""
    for key, raw in catalog.accelerators.items():
        if isinstance(raw, Mapping):
            more = raw.get("driver_names", ())
            yield key, (str(raw["name"]), *(map(str, more) if isinstance(more, list | tuple) else ()))


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def named(catalog: Catalog, text: str) -> tuple[str, ...]:
    """Catalog ids that a person may mean by this text; () for none, several when it is ambiguous."""
    if text in catalog.accelerators:
        return (text,)
    wanted = _short(plain(text))
    exact = [key for key, name in _driver_names(catalog) if wanted in _forms(key, name)]
    if exact:
        return tuple(exact)
    begun = [key for key, name in _driver_names(catalog) if any(form.startswith(wanted) for form in _forms(key, name))]
    if begun:
        return tuple(begun)
    words = _words(text)
    return tuple(key for key, name in _driver_names(catalog) if words <= _words(f"{key} {name}"))


def _words(text: str) -> frozenset[str]:
    """The words in any order, brands apart: `A100 80GB SXM` is `a100-sxm-80g`."""
    parted = "".join(letter if letter.isalnum() else " " for letter in text.lower()).split()
    return frozenset(short for word in parted if (short := _short(word))) or frozenset((text,))


def _forms(key: str, name: str) -> tuple[str, ...]:
    return plain(key), _short(plain(key)), plain(name), _short(plain(name))


def _short(name: str) -> str:
    """Without the maker's and the brand's name, and without the memory's unit spelled in full."""
    for brand in BRANDS:
        name = name.replace(brand, "")
    return name.replace("gib", "g").replace("gb", "g")
