"""The small vocabulary of all views: colour, wrapping, tables, sizes and times with their units."""

from collections.abc import Sequence

from provisioner.model.record import dataclass

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}

STATEFUL = (
    "up", "plan", "prepare", "render", "upgrade", "status", "check", "bench", "doctor", "logs", "clients", "history",
    "rollback", "down", "model", "key",
)  # fmt: skip
"""Commands that look at a state folder."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a view may use: so many columns, colour or not, the typographic signs or plain letters."""

    width: int = 100
    colour: bool = False
    signs: bool = True
    state_dir: str = ""
    """The state folder that the operator named; empty where it is the usual one."""

    def paint(self, text: str, *styles: str) -> str:
        if not self.colour or not text:
            return text
        codes = ";".join(STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def sign(self, sign: str, plain: str) -> str:
        return sign if self.signs else plain

    def commands(self, text: str) -> str:
        """The text with our commands in it as this operator has to type them: with the state folder that was named."""
        if not self.state_dir:
            return text
        import re
        from shlex import quote

        named = f" --state-dir {quote(self.state_dir)}"
        ours = rf"(?<![\w/.-])provision (?:{'|'.join(STATEFUL)})\b(?! --state-dir)"
        return re.sub(ours, lambda found: found[0] + named, text)


def harmless(text: str) -> str:
    """Text from elsewhere without the control characters that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in text)


def wrapped(text: str, width: int, indent: str = "", later: str | None = None) -> list[str]:
    """Lines of at most `width` columns; a word that is longer stands alone and whole, to be copied."""
    following = indent if later is None else later
    lines: list[str] = []
    line, empty = indent, True
    for word in text.split():
        if not empty and columns(line) + 1 + columns(word) > width:
            lines.append(line)
            line, empty = following, True
        line += word if empty else f" {word}"
        empty = False
    return [*lines, line] if not empty else lines


def remedy(text: str, look: Look, indent: str = "") -> list[str]:
    """What to do about it; one that holds a command is left whole, to be copied."""
    told = look.commands(text)
    line = f"fix: {harmless(told)}"
    whole = "`" in told or told != text
    return [indent + line] if whole else wrapped(line, look.width, indent, f"{indent}     ")


def table(rows: Sequence[Sequence[str]], look: Look, indent: str = "  ") -> list[str]:
    """Aligned columns; the last one is wrapped under itself, or under the row where too little room is left."""
    if not rows:
        return []
    widths = [max(columns(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    start = len(indent) + sum(widths) + 2 * len(widths)
    hanging = " " * start if look.width - start >= 20 else indent + "  "
    lines = []
    for row in rows:
        head = indent + "".join(f"{padded(cell, width)}  " for cell, width in zip(row, widths, strict=False))
        if len(hanging) == start:
            body = wrapped(row[-1], look.width, " " * start)
            lines += [head + body[0][start:], *body[1:]] if body else [head.rstrip()]
        else:
            lines += [head.rstrip(), *wrapped(row[-1], look.width, hanging)]
    return lines


def size(number: int) -> str:
    """Bytes as people read them: `512 B`, `7.4 GiB`, `24 GiB`."""
    value, unit = float(number), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(value) < 1024 or unit == "PiB":
            break
        value /= 1024
    digits = f"{value:.0f}" if unit == "B" or abs(value) >= 99.95 else f"{value:.1f}".removesuffix(".0")
    return f"{digits} {unit}"


def duration(seconds: float) -> str:
    """Times as people read them: `45 ms`, `3.2 s`, `2 min 5 s`, `1 h 20 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s".replace(".0 ", " ")
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def number(value: int) -> str:
    return f"{value:,}"


def pace(rate: float) -> str:
    """Tokens a second: below ten a digit more tells a slow machine from one that stands still."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def count(amount: int, noun: str, plural: str = "") -> str:
    """`1 core`, `2 cores`."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def columns(text: str) -> int:
    """How many columns a terminal gives to the text: none to colours, two to East Asian letters."""
    text = bare(text) if "\x1b" in text else text
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def bare(text: str) -> str:
    """The text without its colours."""
    before, *rest = text.split("\x1b[")
    return before + "".join(part.partition("m")[2] for part in rest)


def padded(text: str, width: int) -> str:
    return text + " " * max(0, width - columns(text))


def clipped(text: str, width: int) -> str:
    """The text in at most so many columns, with a sign where something was left out."""
    if columns(text) <= width:
        return text
    while text and columns(text) > width - 1:
        text = text[:-1]
    return f"{text}…"


def meter(parts: Sequence[tuple[int, str]], total: int, width: int, look: Look) -> str:
    """A bar of `width` columns: each part has its amount and its letter; what is over is free.

    A part that is there at all is seen: it takes one column at least.
    """
    cells = [0 if amount <= 0 else max(1, round(amount * width / total)) if total > 0 else 0 for amount, _ in parts]
    while sum(cells) > width:
        cells[cells.index(max(cells))] -= 1
    filled = "".join(_segment(letter, cell, look) for (_, letter), cell in zip(parts, cells, strict=True))
    return f"{filled}{look.sign('·', '.') * (width - sum(cells))}"


SEGMENTS = {"W": ("█", "blue"), "K": ("▓", "cyan"), "A": ("▒", "magenta"), "O": ("░", "yellow"), "#": ("█", "cyan")}


def _segment(letter: str, cells: int, look: Look) -> str:
    sign, style = SEGMENTS[letter]
    return look.paint(look.sign(sign, letter) * cells, style)
