"""How people count cards: `8x H100`, `2 x 8 x H100`, `2 nodes of 8 H100`, `H100 x8`, `dual 4090`, `8卡4090`."""

from provisioner.model.record import dataclass

FEW = 64
"""A larger number before a name belongs to the name: `3090 Ti`, `5000 Ada`."""
DIGITS = 9
"""Of a number that anybody counts to."""
NODES = ("nodes", "node", "servers", "server", "hosts", "host", "machines", "machine", "boxes")
OF = ("of", "with", "each")
NUMERALS = {"dual": "2x", "two": "2x", "quad": "4x", "four": "4x", "eight": "8x"}
WRITTEN = {"×": "x", "*": " x ", "台": " nodes ", "卡": "x ", "张": "x ", "块": "x "}


@dataclass(frozen=True, slots=True)
class Counted:
    """`nodes` is None where nothing is said of them."""

    name: str
    count: int = 1
    nodes: int | None = None


def counted(part: str) -> Counted:
    """What is counted, how many of it to a machine, and how many machines, as far as the words say it."""
    for sign, meant in WRITTEN.items():
        part = part.replace(sign, meant)
    words = part.split()
    if len(words) > 1 and words[0].lower() in NUMERALS:
        part = " ".join((NUMERALS[words[0].lower()], *words[1:]))
    nodes, part = _machines(part)
    counts, name = _before(part)
    name, behind = _behind(name)
    counts = [*behind, *counts]
    if nodes is None and len(counts) > 1:
        nodes, *counts = counts
    if len(counts) > 1:
        return Counted(part, nodes=nodes)
    return Counted(name, counts[0] if counts else 1, nodes)


def _machines(part: str) -> tuple[int | None, str]:
    """`2 nodes of …`."""
    words = part.split()
    if len(words) < 3 or not _is_count(words[0]) or words[1].lower() not in NODES:
        return None, part
    rest = words[3:] if words[2].lower() in OF else words[2:]
    return int(words[0]), " ".join(rest)


def _before(part: str) -> tuple[list[int], str]:
    """The numbers that stand before the name, each with a cross behind it; the last may do without."""
    counts: list[int] = []
    part = part.strip()
    while part:
        digits = len(part) - len(part.lstrip("0123456789"))
        number, rest = part[:digits], part[digits:]
        crossed = rest.lstrip()
        if not _is_count(number):
            break
        if crossed[:1].lower() == "x" and crossed[1:].strip():
            counts.append(int(number))
            part = crossed[1:].strip()
        elif rest[:1] == " " and int(number) <= FEW and crossed:
            return [*counts, int(number)], crossed
        else:
            break
    return counts, part


def _behind(name: str) -> tuple[str, list[int]]:
    """`H100 x8`, `H100 x 8`."""
    front, _, last = name.rpartition(" ")
    if front.lower().endswith(" x") and _is_count(last):
        return front[:-2].strip(), [int(last)]
    if front and last[:1].lower() == "x" and _is_count(last[1:]):
        return front.strip(), [int(last[1:])]
    return name.strip(), []


def _is_count(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= DIGITS
