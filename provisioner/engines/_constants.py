"""Finds the row of an engine's constants that holds for a load: by version, card, degrees and shape."""

from collections.abc import Iterable, Mapping
from functools import cache

from provisioner.model.engines import Constant
from provisioner.model.load import Amount, Card, Degrees, Load

GIB = 1 << 30
Constants = Mapping[str, tuple[Constant, ...]]


@cache
def version_key(version: str) -> tuple[int, ...]:
    """`0.8.5.post1` as numbers; a text without any counts as newer than all, as an engine that is yet to be named."""
    digits = version.lstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ~-=")
    parts = []
    for part in digits.split("."):
        number = part[: len(part) - len(part.lstrip("0123456789"))]
        if not number:
            break
        parts.append(int(number))
        if number != part:
            break
    return tuple(parts) or (1 << 30,)


def narrowed(constants: Constants, version: str, card: Card) -> Constants:
    """The rows that hold for a version on a card: whoever looks at many loads of both need not look at the others again."""
    key = version_key(version)
    return {
        name: tuple(row for row in rows if _in_versions(row, key) and _on_card(row, card))
        for name, rows in constants.items()
    }


def constant(load: Load, name: str) -> Constant:
    """The row for this load; `KeyError` where the engine's data has none, which a test rules out."""
    return pick(load.constants, name, load.version, load.card, load.degrees, bool(load.geometry.kv_lora_rank))


def pick(
    constants: Constants,
    name: str,
    version: str,
    card: Card,
    degrees: Degrees,
    latent: bool = False,
) -> Constant:
    rows = constants[name]
    key = version_key(version)
    return next(row for row in rows if _holds(row, key, card, degrees, latent))


def _holds(row: Constant, version: tuple[int, ...], card: Card, degrees: Degrees, latent: bool) -> bool:
    return (
        _in_versions(row, version)
        and _on_card(row, card)
        and row.tensor_from <= degrees.tensor
        and (not row.tensor_below or degrees.tensor < row.tensor_below)
        and row.pipelined in (None, degrees.pipeline > 1)
        and row.latent in (None, latent)
    )


def _in_versions(row: Constant, version: tuple[int, ...]) -> bool:
    return (not row.since or version >= version_key(row.since)) and (
        not row.before or version < version_key(row.before)
    )


def _on_card(row: Constant, card: Card) -> bool:
    return (
        (not row.vendors or card.vendor in row.vendors)
        and (not row.architectures or card.architecture in row.architectures)
        and not _names(card.name, row.except_cards)
        and card.total_bytes >= row.memory_from_gib * GIB
        and (not row.memory_below_gib or card.total_bytes < row.memory_below_gib * GIB)
    )


def _names(name: str, words: Iterable[str]) -> bool:
    return any(word in name.lower() for word in words)


def amount(row: Constant, unit: float, what: str) -> Amount:
    """A figure in units of bytes, with its range and basis."""
    low = row.value if row.low is None else row.low
    high = row.value if row.high is None else row.high
    return Amount(int(row.value * unit), int(low * unit), int(high * unit), f"{what}: {_basis(row)}")


def _basis(row: Constant) -> str:
    return f"{len(row.cases)} published runs, {row.source}" if row.cases else row.source
