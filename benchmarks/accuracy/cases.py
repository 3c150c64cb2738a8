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
        return next((found for name in names if (found := number(self.args.get(name.lower()))) is not None), None)

    def count(self, *names: str) -> int | None:
        found = self.number(*names)
        return int(found) if found is not None and found >= 1 else None

    def text(self, *names: str) -> str:
        return next((str(self.args[name]) for name in names if self.args.get(name) not in (None, "")), "")

    def says(self, *names: str) -> bool:
        return any(str(self.args.get(name, "")).lower() in TRUE for name in names)

    def published(self, *names: str) -> float | None:
        return next((found for name in names if (found := number(self.result.get(name))) is not None), None)


FIELDS = {
    "cls": ("cls", "class", "verdict", "expected"),
    "model": ("model", "model_id", "model_name"),
    "quant": ("quant", "quantization", "precision"),
    "gpu": ("gpu", "card", "device", "accelerator", "hardware"),
    "gpus": ("gpus", "cards", "devices", "gpu_count", "count"),
    "engine": ("engine", "backend", "server"),
}
"""What others may call a field of an entry."""

VERSIONS = ("engine_version", "backend_version", "version")
SYNONYMS = {
    "config-error": ("config_error", "configerror", "invalid", "refused", "config"),
    "fits": ("fit", "ok", "works", "starts", "success"),
    "fails": ("fail", "oom", "does-not-fit", "failed", "error"),
}


def read(path: Path) -> list[Case]:
    """Every entry of the file, a list or a document with `cases`; entries of a wrong form come back with their problem."""
    import yaml

    entries = _entries(yaml.safe_load(path.read_text(encoding="utf-8")))
    if entries is None:
        return [Case(id=path.name, problem="the file holds no list of cases")]
    return [case(place, entry) for place, entry in enumerate(entries, start=1)]


def _entries(document: object) -> list[object] | None:
    """The list itself, what stands under `cases`, else the first list of mappings under any other key."""
    if isinstance(document, list):
        return document
    if not isinstance(document, Mapping):
        return None
    if isinstance(document.get("cases"), Mapping):
        return [
            {"id": name, **entry} if isinstance(entry, Mapping) else entry for name, entry in document["cases"].items()
        ]
    lists = (found for found in (document.get("cases"), *document.values()) if isinstance(found, list))
    return next((found for found in lists if any(isinstance(entry, Mapping) for entry in found)), None)


def case(place: int, entry: object) -> Case:
    if not isinstance(entry, Mapping):
        return Case(id=f"entry {place}", problem="the entry is no mapping")
    args = {**_arguments(entry), **_arguments(entry.get("args"))}
    result = _arguments(entry.get("result"))
    said = {field: _text(next((entry[name] for name in names if name in entry), "")) for field, names in FIELDS.items()}
    version = next((_text(entry[name]) for name in VERSIONS if entry.get(name)), "")
    return Case(
        id=str(entry.get("id") or f"entry {place}"),
        cls=_class(said["cls"]),
        model=said["model"],
        quant=said["quant"] or _text(args.get("quantization")),
        gpu=said["gpu"],
        gpus=_gpus(said["gpus"]),
        nodes=max(1, int(number(entry.get("nodes")) or 1)),
        engine=f"{said['engine']} {version}".strip() if version not in said["engine"] else said["engine"],
        args=args,
        result=result,
        source=_text(entry.get("source")),
        config=_text(entry.get("config") or entry.get("config_json") or args.get("config")),
    )


def _class(text: str) -> str:
    """A synonym of a verdict is that verdict."""
    plain = text.strip().lower()
    return next((verdict for verdict, words in SYNONYMS.items() if plain in words), plain)


def _gpus(text: str) -> int:
    """`8`, `8x`, `2 x H100`; 0 where no count is said."""
    found = re.match(r"\s*(\d{1,5})(?!\d)", text)
    return int(found[1]) if found else 0


def _text(value: object) -> str:
    """Of a list or mapping its values one after the other, as `{name: vllm, version: 0.9}` says what `vllm 0.9` says."""
    if isinstance(value, Mapping):
        return " ".join(_text(item) for item in value.values())
    if isinstance(value, list | tuple):
        return " ".join(_text(item) for item in value)
    return "" if value is None else str(value)


def _arguments(value: object) -> dict[str, object]:
    """A mapping, or a command line as a text or as a list of words; names without dashes and in small letters."""
    if isinstance(value, list | tuple):
        return _of_words([str(item) for item in value])
    if isinstance(value, str):
        return _of_words(value.replace("=", " ").split())
    if not isinstance(value, Mapping):
        return {}
    return {_name(name): item for name, item in value.items() if not isinstance(item, Mapping) or item}


def _of_words(words: list[str]) -> dict[str, object]:
    """A flag that another flag or nothing follows is one that is only there."""
    parts = [part for word in words for part in (word.split("=", 1) if word.startswith("-") else [word])]
    found: dict[str, object] = {}
    for place, part in enumerate(parts):
        if re.match(r"--?[A-Za-z]", part):
            after = parts[place + 1] if place + 1 < len(parts) else "--"
            found[_name(part)] = True if re.match(r"--?[A-Za-z]", after) else after
    return found


def _name(name: object) -> str:
    return str(name).strip().lstrip("-").replace("-", "_").lower()


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
