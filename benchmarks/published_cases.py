"""What a published run says of itself, in the catalog's words; and why some runs cannot be predicted."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from provisioner.catalog import Catalog
from provisioner.model.catalog import AcceleratorEntry, ModelEntry
from provisioner.planning.asked import names
from provisioner.planning.asked.devices import named
from provisioner.planning.speed.capacity import CHAT, Work

Case = Mapping[str, Any]
HALVES = ("a", "b")
QUANTIZATIONS = {
    "bf16": "bf16",
    "fp16": "fp16",
    "awq-int4": "awq",
    "mxfp4": "mxfp4",
    "fp8": None,
    "fp8 (Marlin)": None,
    "fp8_block128": "fp8_block128",
    "awq": "awq",
}


class LeftOut(Exception):
    """Why a case is not predicted."""


def cases_of(path: str | Path, half: str = "") -> list[Case]:
    """All of a file, or half of them by the hash of their ids."""
    with open(path, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    found = list(document["cases"] if isinstance(document, dict) else document)
    return [case for case in found if not half or half_of(case["id"]) == half]


def half_of(case: str) -> str:
    """By the first byte of the id's SHA-256, so that no case changes its half when others are added."""
    return HALVES[hashlib.sha256(case.encode()).digest()[0] % 2]


def work_of(case: Case) -> tuple[Work, str]:
    """What its requests were like, or a chat and the word that this is assumed."""
    told = " ".join(
        str(part) for part in (case["result"].get("workload", ""), case.get("notes", ""), case.get("source", ""))
    )
    lengths = re.search(r"(\d+) in ?/ ?(?:<=)?(\d+) out", told)
    if lengths:
        return Work(int(lengths[1]), int(lengths[2])), ""
    return CHAT, "" if "ShareGPT" in told else "length of requests"


def model_of(case: Case, catalog: Catalog) -> tuple[ModelEntry, str]:
    found = names.lookup(catalog, str(case["model"]))
    if found is None:
        raise LeftOut(f"{case['model']} is in no catalog")
    said = str(case.get("quant", ""))
    precision = found.precision or (QUANTIZATIONS[said] if said in QUANTIZATIONS else names.precision_of(said))
    precision = names.published(found.entry, precision or ("fp8" if said.startswith("fp8") else None)) or precision
    if precision is None:
        raise LeftOut(f"{said}: not one precision")
    return found.entry, precision


def card_of(case: Case, catalog: Catalog) -> AcceleratorEntry:
    text = str(case["gpu"]).split(" (")[0]
    if text in catalog.accelerators:
        return catalog.accelerator(text)
    if re.search(r"\d GPUs|not stated|same", str(case["gpu"])) or not (found := named(catalog, text)):
        raise LeftOut(f"{case['gpu']}: not one known card")
    return catalog.accelerator(found[0])
