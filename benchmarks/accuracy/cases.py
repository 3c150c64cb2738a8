"""Published runs as they are written down: YAML by many hands, read without complaint wherever a value makes sense."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

VERDICTS = ("fits", "fails", "config-error")
"""Classes that state a verdict. `perf` and `hangs` do not: they are counted apart, as runs that did start."""

TRUE = ("true", "yes", "on", "1")


@dataclass(frozen=True)
class Case:
    """One entry. What is missing is empty; nothing of `result` is ever used to predict."""

    id: str
    cls: str = ""
    model: str = ""
    quant: str = ""
    gpu: str = ""
    gpus: int = 0
    nodes: int = 1
    engine: str = ""
    args: Mapping[str, object] = field(default_factory=dict)
    result: Mapping[str, object] = field(default_factory=dict)
    source: str = ""
    config: str = ""
    problem: str = ""
    """Why the entry cannot be read at all; empty when it can."""

    def number(self, *names: str) -> float | None:
        """The first of these arguments that has a number."""
        return next((found for name in names if (found := number(self.args.get(name))) is not None), None)

    def count(self, *names: str) -> int | None:
        found = self.number(*names)
        return int(found) if found is not None and found >= 1 else None

    def text(self, *names: str) -> str:
        return next((str(self.args[name]) for name in names if self.args.get(name) not in (None, "")), "")

    def says(self, *names: str) -> bool:
        return any(str(self.args.get(name, "")).lower() in TRUE for name in names)

    def published(self, *names: str) -> float | None:
        return next((found for name in names if (found := number(self.result.get(name))) is not None), None)


def read(path: Path) -> list[Case]:
    """Every entry of the file, a list or a document with `cases`; entries of a wrong form come back with their problem."""
    import yaml

    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = document.get("cases", []) if isinstance(document, dict) else document
    if not isinstance(entries, list):
        return [Case(id=path.name, problem="the file holds no list of cases")]
    return [_case(place, entry) for place, entry in enumerate(entries, start=1)]


def _case(place: int, entry: object) -> Case:
    if not isinstance(entry, Mapping):
        return Case(id=f"entry {place}", problem="the entry is no mapping")
    args, result = (_mapping(entry.get(name)) for name in ("args", "result"))
    return Case(
        id=str(entry.get("id", f"entry {place}")),
        cls=str(entry.get("cls") or "").strip().lower(),
        model=str(entry.get("model") or ""),
        quant=str(entry.get("quant") or ""),
        gpu=str(entry.get("gpu") or ""),
        gpus=int(number(entry.get("gpus")) or 0),
        nodes=int(number(entry.get("nodes")) or 1),
        engine=str(entry.get("engine") or ""),
        args=args,
        result=result,
        source=str(entry.get("source") or ""),
        config=str(entry.get("config") or entry.get("config_json") or args.get("config") or ""),
    )


def _mapping(value: object) -> Mapping[str, object]:
    return {str(name).replace("-", "_"): item for name, item in value.items()} if isinstance(value, Mapping) else {}


def number(value: object) -> float | None:
    """`32768`, `"default 0.92"`, `"128K"`, `"1,024"`; None for what holds no number. Of a range the middle, of a list the last."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return number(value[-1]) if value else None
    text = str(value).lower().replace(",", "").replace("_", "")
    found = re.search(r"(-?\d+(?:\.\d+)?)(?:\s*-\s*(\d+(?:\.\d+)?))?\s*([km])?(?![a-z])", text)
    if not found:
        return None
    first, second = float(found[1]), float(found[2] or found[1])
    return (first + second) / 2 * {"k": 1024, "m": 1024**2}.get(found[3] or "", 1)
