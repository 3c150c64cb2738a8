"""Finds plug-ins by looking into folders, and the catalog in its one compiled file; decodes only what is asked for."""

import os
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from provisioner.documents import decode
from provisioner.errors import BadInput
from provisioner.model.catalog import AcceleratorEntry, Dialect, ModelEntry
from provisioner.model.record import dataclass, field
from provisioner.model.spec import Profile

if TYPE_CHECKING:  # `detect` needs the names of accelerators, and neither engines nor speeds.
    from provisioner.model.engines import EngineEntry
    from provisioner.model.speed import SpeedRow

COMPILED = os.path.join(os.path.dirname(__file__), "profiles", "catalog.json")
COMPILED_MODELS = os.path.join(os.path.dirname(__file__), "profiles", "models.jsonl")


def scan(package: str, attribute: str) -> dict[str, object]:
    """Import every module of a plug-in folder: the constant of each, by the name that it gives itself."""
    return {name: find(package, attribute, name) for name in plugin_names(package)}


def find(package: str, attribute: str, name: str) -> object:
    """Import one plug-in by name, and no other."""
    known = plugin_names(package)
    if name not in known:
        raise unknown(package.rsplit(".", 1)[-1].removesuffix("s"), name, known)
    module = import_module(f"{package}.{name}")
    if not hasattr(module, attribute):
        raise TypeError(f"{package}/{name}.py has no {attribute}")
    plugin: object = getattr(module, attribute)
    own = getattr(plugin, "name", None)
    if own is None or str(own).replace("-", "_") != name:
        raise TypeError(f"{package}/{name}.py holds an {attribute} named {own!r}: file and name must agree")
    return plugin


def plugin_names(package: str) -> tuple[str, ...]:
    """The modules of a plug-in folder; a leading underscore marks one that is no plug-in."""
    folder = os.path.dirname(str(import_module(package).__file__))
    return tuple(
        sorted(entry[:-3] for entry in os.listdir(folder) if entry.endswith(".py") and not entry.startswith("_"))
    )


def nearest(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three known names that a mistyped one may have meant."""
    from difflib import get_close_matches

    return tuple(get_close_matches(word.lower(), list(known), n=3, cutoff=0.5))


def unknown(kind: str, word: str, known: Iterable[str]) -> BadInput:
    """The error for a name that is in no list, with the nearest ones or, failing those, all."""
    choices = tuple(known)
    near = nearest(word, choices)
    return BadInput(
        f"unknown {kind} `{word}`",
        fix=f"did you mean {' or '.join(f'`{name}`' for name in near)}?" if near else f"one of {', '.join(choices)}",
    )


class Lines(Mapping[str, object]):
    """Documents of one line each behind their names, parsed when they are asked for: a plan needs one model of many."""

    def __init__(self, text: str) -> None:
        self._lines = dict(line.split("\t", 1) for line in text.splitlines())
        self._parsed: dict[str, object] = {}

    def __getitem__(self, name: str) -> object:
        import json

        if name not in self._parsed:
            self._parsed[name] = json.loads(self._lines[name])
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The documents as they were compiled, by name; an entry is decoded when it is asked for, once."""

    profiles: Mapping[str, object]
    models: Mapping[str, object]
    accelerators: Mapping[str, object]
    speed: Mapping[str, object] = field(default_factory=dict)
    engines: Mapping[str, object] = field(default_factory=dict)
    dialects: Mapping[str, object] = field(default_factory=dict)
    decoded: dict[str, object] = field(default_factory=dict)
    known: dict[object, object] = field(default_factory=dict)
    """What follows from entries alone, kept by whoever found it out: the next machine that is planned need not."""

    def profile(self, name: str) -> Profile:
        return cast(Profile, self._entry(Profile, "profile", self.profiles, name))

    def model(self, name: str) -> ModelEntry:
        return cast(ModelEntry, self._entry(ModelEntry, "model", self.models, name))

    def accelerator(self, name: str) -> AcceleratorEntry:
        return cast(AcceleratorEntry, self._entry(AcceleratorEntry, "accelerator", self.accelerators, name))

    def dialect(self, name: str) -> Dialect:
        return cast(Dialect, self._entry(Dialect, "dialect", self.dialects, name))

    def engine(self, name: str) -> "EngineEntry":
        from provisioner.model.engines import EngineEntry

        return cast(EngineEntry, self._entry(EngineEntry, "engine", self.engines, name))

    def speed_rows(self) -> "tuple[SpeedRow, ...]":
        """All that is known of engines' speed: few rows, and which of them hold depends on all the rest."""
        from provisioner.model.speed import row_of

        if "speed rows" not in self.decoded:
            self.decoded["speed rows"] = tuple(row_of(cast(Mapping[str, Any], raw)) for raw in self.speed.values())
        return cast("tuple[SpeedRow, ...]", self.decoded["speed rows"])

    def _entry(self, kind: type, title: str, entries: Mapping[str, object], name: str) -> object:
        if name not in entries:
            raise unknown(title, name, entries)
        place = f"{title} {name}"
        if place not in self.decoded:
            self.decoded[place] = decode(kind, entries[name], place)
        return self.decoded[place]


def load_catalog(path: str = COMPILED, models: str = COMPILED_MODELS) -> Catalog:
    """Read the compiled catalog."""
    import json

    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    with open(models, encoding="utf-8") as file:
        lines = Lines(file.read())
    return Catalog(
        document["profiles"],
        lines,
        document["accelerators"],
        document["speed"],
        document["engines"],
        document["dialects"],
    )
