"""Sets of CPUs, read and written as the kernel does: lists (`0-3,8`) and masks (`ff,0000000f`)."""

from collections.abc import Iterable

LARGEST = 1 << 20
"""No kernel counts further; a larger number in a list is a mistake, not a machine."""


def from_list(text: str) -> frozenset[int]:
    """The CPUs of a list such as `0-3,8`; an empty text is the empty set."""
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, dash, last = part.partition("-")
            begin, end = int(first), int(last if dash else first)
            if not 0 <= begin <= end < LARGEST:
                raise ValueError(f"{part!r} is not a range of CPUs")
            cpus.update(range(begin, end + 1))
    return frozenset(cpus)


def from_mask(text: str) -> frozenset[int]:
    """The CPUs of a hexadecimal mask, most significant word first."""
    mask = int(text.strip().replace(",", "") or "0", 16)
    if mask < 0:
        raise ValueError(f"{text!r} is not a mask of CPUs")
    return frozenset(bit for bit, digit in enumerate(reversed(f"{mask:b}")) if digit == "1")


def to_list(cpus: Iterable[int]) -> str:
    """The shortest list that names these CPUs."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
