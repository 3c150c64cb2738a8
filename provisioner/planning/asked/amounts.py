"""Amounts as people read them, and as operators write them."""

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

MOST_DIGITS = 15
"""Of a count: more than any context, port or number of bytes that a machine has."""


def size(count: int) -> str:
    """Bytes with a binary unit, three digits at most."""
    if count < 0:
        return "-" + size(-count)
    for unit, factor in (("TiB", 1 << 40), ("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 1000 * factor else f"{count / factor:.0f} {unit}"
    return f"{count} B"


def up(count: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-count // step) * step


def whole_number(text: str) -> int:
    """A count as operators write it: `8192`, `32K`, `1M` (binary thousands, as contexts are counted)."""
    word = text.strip().lower().replace("_", "").replace(",", "")
    factor = {"k": KIB, "m": MIB}.get(word[-1:], 1)
    digits = word[:-1] if factor > 1 else word
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"`{text[:MOST_DIGITS]}…` has more than {MOST_DIGITS} digits")
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise ValueError(f"`{text}` is not a whole number above 0 such as 8192 or 32K")
    return int(digits) * factor
