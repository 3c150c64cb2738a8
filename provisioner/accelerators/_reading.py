"""What every maker's parser needs: JSON among other lines, sizes in any unit, a device with nothing known of it yet."""

import json
from collections.abc import Iterator, Mapping, Sequence

from provisioner.model.facts import Accelerator, Answers, Unknown
from provisioner.model.record import replace

UNITS = {"": 0, "B": 0, "KB": 10, "KIB": 10, "MB": 20, "MIB": 20, "GB": 30, "GIB": 30, "TB": 40, "TIB": 40}
"""As powers of two: where these tools write MB they count in 2^20, as their totals show (196592 MB of an MI300X)."""
LARGEST = 1 << 50
"""A size beyond this is an error of the tool's: all ones stand for "not supported"."""

BARE = Accelerator(
    vendor="", name="", uuid="", index=0, memory_bytes=0, free_bytes=0, compute_capability=None, numa_node=None, pci="",
    links=(), processes=(), pcie_generation=None, pcie_width=None, pcie_max_generation=None, pcie_max_width=None,
    ecc=None, ecc_errors=None, row_remap=None, mig=None, persistence=None, problem=None,
)  # fmt: skip
"""To be replaced field by field."""
GENERATIONS = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6}
"""PCI Express by its speed in GT/s, as the kernel writes it."""


def told(answers: Answers, command: str) -> str:
    """What the command printed; "" when it was not asked or gave no answer."""
    output = answers.get(command)
    return output if isinstance(output, str) else ""


def why(answers: Answers, *commands: str) -> str:
    """Why a tool told nothing: its own words, or the first line of what it printed instead."""
    for command in commands:
        output = answers.get(command)
        if isinstance(output, Unknown):
            return output.reason
        lines = [line.strip() for line in (output or "").splitlines() if line.strip()]
        if lines:
            return f"`{command}` lists no device: {lines[0][:120]}"
    return f"`{commands[0]}` printed nothing"


def document(text: str) -> object:
    """The JSON in an output, whatever lines stand before and after it; None where there is none."""
    decoder, start = json.JSONDecoder(), 0
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(("{", "[")):
            try:
                return decoder.raw_decode(text, start + len(line) - len(line.lstrip()))[0]
            except (ValueError, RecursionError):
                pass
        start += len(line)
    return None


def objects(value: object, *names: str) -> tuple[Mapping[str, object], ...]:
    """The objects of a list, whether it is the whole document or stands in it under one of these names."""
    if isinstance(value, dict):
        value = next((value[name] for name in names if name in value), None)
    return tuple(each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def within(value: object, *path: str) -> object:
    """What lies at a path of names in an object; None where the way ends."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def word(value: object) -> str:
    """A text that says something."""
    text = value.strip() if isinstance(value, str) else ""
    return "" if text.upper() in ("N/A", "NA", "-", "UNKNOWN", "NONE") else text


def whole(value: object) -> int | None:
    """A number, or a text that is one."""
    if isinstance(value, bool):
        return None
    text = str(value).strip() if isinstance(value, int | str) else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 25 else None


def size(value: object, unit: str = "B") -> int | None:
    """Bytes of `{"value": 5, "unit": "MB"}`, `"5 MB"`, `"5MiB"`, `"5"` or 5; the last two are in `unit`."""
    if isinstance(value, dict):
        return size(value.get("value"), str(value.get("unit", unit)))
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    digits = text.rstrip("BIKMGTbikmgt ")
    power = UNITS.get((text[len(digits) :].strip() or unit).upper())
    if power is None or not digits.isascii() or not digits.replace(".", "", 1).isdecimal() or len(digits) > 24:
        return None
    found = int(digits) << power if digits.isdecimal() else int(float(digits) * (1 << power))
    return found if found <= LARGEST else None


def address(text: str) -> str:
    """A PCI address in the kernel's form: `0000:1a:00.0` for `00000000:1A:00.0` and for `1A:00.0`."""
    low = text.strip().lower()
    domain, colon, rest = low.rpartition(":")
    domain, second, bus = domain.rpartition(":")
    if not colon or not bus:
        return ""
    return f"{domain[-4:].zfill(4) if second else '0000'}:{bus}:{rest}"


def distinct(devices: Sequence[Accelerator]) -> tuple[Accelerator, ...]:
    """The devices by their numbers; where two have the same one, no number is to be trusted, and they are counted."""
    if len({each.index for each in devices}) < len(devices):
        return tuple(replace(each, index=at) for at, each in enumerate(devices))
    return tuple(sorted(devices, key=lambda each: each.index))


def cells(line: str) -> tuple[str, ...]:
    """The cells of a line of a table that is drawn with `|`; () for any other line."""
    text = line.strip()
    return tuple(cell.strip() for cell in text.strip("|").split("|")) if text.startswith("|") else ()


def tables(lines: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The lines of an output that are rows of tables."""
    return (row for row in map(cells, lines) if row)
