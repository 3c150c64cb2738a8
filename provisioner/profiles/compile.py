"""Compiles the YAML of this folder into the two files that the program loads: `python -m provisioner.profiles.compile`."""

import json
import os
import sys
from collections.abc import Iterator, Mapping

from provisioner.documents import decode
from provisioner.model.catalog import AcceleratorEntry, Dialect, ModelEntry
from provisioner.model.engines import EngineEntry
from provisioner.model.spec import Profile
from provisioner.model.speed import SpeedRow

FOLDER = os.path.dirname(__file__)
Entries = dict[str, object]


def compile_catalog(folder: str = FOLDER) -> str:
    """The compiled text; `ValueError` names the file and the field that does not fit."""
    document = {
        "profiles": _by_name(folder, "name", Profile),
        "accelerators": _by_name(os.path.join(folder, "accelerators"), "id", AcceleratorEntry),
        "dialects": _by_name(os.path.join(folder, "dialects"), "id", Dialect),
        "engines": _by_name(os.path.join(folder, "engines"), "name", EngineEntry),
        "speed": _by_name(os.path.join(folder, "speed"), "id", SpeedRow),
    }
    return _text(document) + "\n"


def compile_models(folder: str = FOLDER) -> str:
    """The models, each in a line behind its name."""
    models = _by_name(os.path.join(folder, "models"), "id", ModelEntry)
    return "".join(f"{name}\t{_text(raw)}\n" for name, raw in sorted(models.items()))


def _text(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _by_name(folder: str, key: str, kind: type) -> Entries:
    entries: Entries = {}
    for path, raw in _documents(folder):
        decode(kind, raw, path)
        name = str(raw[key])
        if name in entries:
            raise ValueError(f"{path}: {key} {name!r} is there twice")
        entries[name] = raw
    return entries


def _documents(folder: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Every YAML document of the folder: a file holds one entry of its own name, or a list of entries."""
    import yaml

    for entry in sorted(os.listdir(folder)):
        if not entry.endswith(".yaml"):
            continue
        path = os.path.join(folder, entry)
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file)
        if isinstance(content, list):
            yield from ((path, raw) for raw in content)
            continue
        if entry.removesuffix(".yaml") not in (content.get("id"), content.get("name")):
            raise ValueError(f"{path}: the file and the entry in it must have the same name")
        yield path, content


def main() -> int:
    texts = {"catalog.json": compile_catalog(), "models.jsonl": compile_models()}
    for name, text in texts.items():
        with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
            file.write(text)
    sys.stderr.write(f"{', '.join(texts)} written in {FOLDER}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
