"""What of a device's figures an engine reaches: the rows of data that hold for it, as slow, usual and fast rates."""

from collections.abc import Iterable
from math import inf

from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.record import dataclass
from provisioner.model.speed import SpeedRow
from provisioner.planning.speed.roofline import Rates

SLOW, USUAL, FAST = "slow", "usual", "fast"
LEVELS = (SLOW, USUAL, FAST)
GROWING = ("share", "bytes_per_second")
"""Names that end so are better when they are larger; times are better when they are smaller."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a row of speeds can depend on."""

    engine: str
    version: str
    shape: str
    precision: str
    architecture: str
    link: str = "none"
    mode: str = "graphs"


@dataclass(frozen=True, slots=True)
class Span:
    """The same figure three times, with what it rests on."""

    slow: Rates
    usual: Rates
    fast: Rates
    basis: str


def values_of(
    rows: Iterable[SpeedRow], situation: Situation
) -> tuple[dict[str, tuple[float, float, float]], list[str]]:
    """By name the values of the most particular row that holds, and the rows that were used."""
    values: dict[str, tuple[float, float, float]] = {}
    origin: dict[str, str] = {}
    for row in sorted((row for row in rows if holds(row, situation)), key=_particularity):
        values.update(row.values)
        origin.update(dict.fromkeys(row.values, row.id))
    return values, sorted(set(origin.values()))


def holds(row: SpeedRow, situation: Situation) -> bool:
    if (
        (row.engines and situation.engine not in row.engines)
        or (row.shapes and situation.shape not in row.shapes)
        or (row.precisions and situation.precision not in row.precisions)
        or (row.links and situation.link not in row.links)
        or (row.modes and situation.mode not in row.modes)
    ):
        return False
    if row.architectures and not situation.architecture.startswith(row.architectures):
        return False
    return not row.since or numbers(situation.version) >= numbers(row.since)


def _particularity(row: SpeedRow) -> tuple[int, tuple[int, ...]]:
    conditions = (row.engines, row.shapes, row.precisions, row.architectures, row.links, row.modes)
    return sum(1 for condition in conditions if condition), numbers(row.since)


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: `0.14.0rc1` is 0, 14, 0."""
    found: list[int] = []
    for part in version.strip().lstrip("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)


def architecture_of(entry: AcceleratorEntry) -> str:
    """`sm89` for NVIDIA's compute capability 8.9; for the others the maker and what it calls them: `amd gfx942`."""
    if entry.compute_capability:
        return f"sm{entry.compute_capability.replace('.', '')}"
    return f"{entry.vendor} {entry.architecture or entry.id}".lower()


def span_of(rows: Iterable[SpeedRow], entry: AcceleratorEntry, situation: Situation) -> Span | str:
    """The rates on this device, or the reason why there is no estimate."""
    if entry.bandwidth_bytes_per_second is None:
        return f"the memory bandwidth of {entry.name} is not known"
    values, used = values_of(rows, situation)
    missing = [name for name in RATE_NAMES if name not in values]
    if missing:
        return f"nothing is known of the speed of {situation.engine} on {entry.name} ({', '.join(missing)})"
    slow, usual, fast = (_rates(values, entry, situation, level) for level in LEVELS)
    rate, share = entry.bandwidth_bytes_per_second, values["bandwidth_share"][1]
    return Span(slow, usual, fast, f"{share:.0%} of the {rate / 1e9:.0f} GB/s of {entry.name} ({', '.join(used)})")


RATE_NAMES = (
    "bandwidth_share", "decode_share", "prefill_share", "link_bytes_per_second", "reduce_seconds", "layer_seconds",
    "step_seconds", "token_seconds", "request_seconds", "arrival_seconds",
)  # fmt: skip

ONE_ROW = (1.0, 1.0, 1.0)


def _rates(
    values: dict[str, tuple[float, float, float]], entry: AcceleratorEntry, situation: Situation, level: str
) -> Rates:
    picked = {name: pick(name, values[name], level) for name in RATE_NAMES}
    flops = flops_of(entry, situation.precision)
    return Rates(
        bytes_per_second=(entry.bandwidth_bytes_per_second or 0) * picked["bandwidth_share"],
        decode_flops=flops * picked["decode_share"],
        prefill_flops=flops * picked["prefill_share"],
        link_bytes_per_second=picked["link_bytes_per_second"],
        reduce_seconds=picked["reduce_seconds"],
        layer_seconds=picked["layer_seconds"],
        step_seconds=picked["step_seconds"],
        token_seconds=picked["token_seconds"],
        request_seconds=picked["request_seconds"],
        arrival_seconds=picked["arrival_seconds"],
        decode_rows=pick("decode_rows", values.get("decode_rows", ONE_ROW), level),
    )


def pick(name: str, value: tuple[float, float, float], level: str) -> float:
    low, usual, high = value
    if level == USUAL:
        return usual
    return high if (level == FAST) == name.endswith(GROWING) else low


def flops_of(entry: AcceleratorEntry, precision: str) -> float:
    """Dense operations per second in this precision; infinite where the device's figure is not known.

    Only a device that computes in 8 bits itself gains from 8-bit activations; weights alone are widened to 16 bits first.
    """
    kind = "int8" if precision == "int8" else "fp8" if precision.startswith("fp8") else "bf16"
    found = entry.tflops.get(kind) or entry.tflops.get("bf16") or entry.tflops.get("fp16")
    return found * 1e12 if found else inf
