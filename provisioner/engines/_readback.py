"""Reads figures out of an engine's log, line by line. A log is foreign text: what is not understood is passed over."""

import re
from collections.abc import Iterable, Iterator, Mapping

from provisioner.model.measured import DeviceMeasured
from provisioner.model.record import dataclass

UNITS = {"GiB": 1 << 30, "GB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
"""Engines that write GB count in powers of two as well."""
LONGEST = 2000
"""Lines are cut here: what is looked for stands early, and a line without an end must not take for ever."""

AMOUNT = r"(\d{1,9}(?:\.\d{1,9})?) ?(GiB|GB|MiB|KiB)"


@dataclass(frozen=True, slots=True)
class Figure:
    """A line that tells one amount: the field that it fills, and whether several of them add up."""

    field: str
    pattern: re.Pattern[str]
    adds: bool = False


def figure(field: str, text: str, adds: bool = False) -> Figure:
    """`text` is a pattern in which `AMOUNT` stands for the amount."""
    return Figure(field, re.compile(text.replace("AMOUNT", AMOUNT)), adds)


def lines(log: str) -> Iterator[str]:
    return (line[:LONGEST] for line in log.splitlines())


def size(number: str, unit: str) -> int:
    return round(float(number) * UNITS[unit])


def devices(log: str, figures: Iterable[Figure], device: re.Pattern[str]) -> tuple[DeviceMeasured, ...]:
    """The figures by device, in the order in which these appear; a later line replaces an earlier one unless they add up."""
    known = tuple(figures)
    found: dict[str, dict[str, int]] = {}
    for line in lines(log):
        for one in known:
            for match in one.pattern.finditer(line):
                name = _device(device, line)
                fields = found.setdefault(name, {})
                before = fields.get(one.field, 0) if one.adds else 0
                fields[one.field] = before + size(match[1], match[2])
    return tuple(_measured(name, fields) for name, fields in found.items())


def _device(device: re.Pattern[str], line: str) -> str:
    match = device.search(line)
    return next((group for group in match.groups() if group), "") if match else ""


def _measured(name: str, fields: Mapping[str, int]) -> DeviceMeasured:
    return DeviceMeasured(
        device=name,
        weights_bytes=fields.get("weights_bytes"),
        kv_bytes=fields.get("kv_bytes"),
        activation_bytes=fields.get("activation_bytes"),
        graphs_bytes=fields.get("graphs_bytes"),
        runtime_bytes=fields.get("runtime_bytes"),
    )


def last_count(log: str, pattern: re.Pattern[str]) -> int | None:
    """The last whole number that a pattern finds; engines write them with commas."""
    found = None
    for line in lines(log):
        match = pattern.search(line)
        if match:
            found = int(match[1].replace(",", ""))
    return found


def metric(metrics: str, name: str) -> str | None:
    """What follows a metric's name in Prometheus' text: its labels and its value."""
    for line in lines(metrics):
        if line.startswith((f"{name}{{", f"{name} ")):
            return line.removeprefix(name)
    return None


def label(sample: str, name: str) -> int | None:
    """A whole number among the labels of a sample."""
    match = re.search(rf'[{{,]{name}="(\d{{1,18}})"', sample)
    return int(match[1]) if match else None
