"""What is known of engines' speed on hardware: shares of the physical limits and fixed costs, as data with ranges."""

from collections.abc import Mapping
from typing import Any

from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """Some values for some conditions; one that is empty always holds, and of two rows the one with more of them wins."""

    id: str
    values: Mapping[str, tuple[float, float, float]]
    """By name: low, usual and high. How far they lie apart says how sure they are."""
    source: str
    cases: tuple[str, ...] = ()
    """The measurements that the values were taken from; none for values that are assumed."""
    engines: tuple[str, ...] = ()
    since: str = ""
    """The first version of the engine that this holds for."""
    shapes: tuple[str, ...] = ()
    """`dense`, `mixture`."""
    precisions: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    """How the names of device architectures begin: `sm8`, `amd gfx94`, `huawei`."""
    links: tuple[str, ...] = ()
    """Between the ranks of a tensor group: `none`, `nvlink`, `pcie`, `network`."""
    modes: tuple[str, ...] = ()
    """`graphs`, or `eager` where the engine starts each kernel by itself."""


def row_of(document: Mapping[str, Any]) -> SpeedRow:
    """A row from its JSON form, which was checked when the catalog was compiled: all of them are needed for any one figure."""
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    fields["values"] = {name: tuple(value) for name, value in document["values"].items()}
    return SpeedRow(**fields)
