"""Which engine a case ran, and in which version: said outright, by the day of the run, or not at all."""

import re
from dataclasses import dataclass

from provisioner.model.engines import EngineEntry

NAMES = (
    ("ktransformers", r"ktransformers|kt-kernel|sglang-kt"),
    ("vllm", r"vllm"),
    ("sglang", r"sglang"),
    ("ollama", r"ollama"),
    ("llamacpp", r"llama\.?cpp|llama-server"),
    ("lmstudio", r"lm ?studio"),
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LATEST_PATCH = 99
"""`0.8`, `~0.8` and `0.8.x` are taken as the last release of their series."""


@dataclass(frozen=True)
class Engine:
    name: str
    version: str
    basis: str
    """How the version is known; empty where it is not, and the newest is taken."""


def engine_of(text: str, source: str, entry: EngineEntry | None) -> Engine:
    """An engine that is not named is taken to be vLLM, which all layouts of the cards in question are for."""
    lower = text.lower()
    name = next((name for name, pattern in NAMES if re.search(pattern, lower)), "")
    said = _version(lower, name)
    if said:
        return Engine(name or "vllm", said, "as stated")
    day = _day(lower) or _day(source.lower()) or (_day_of_issue(source, entry) if entry else "")
    if day and entry is not None and entry.releases:
        return Engine(name or "vllm", _released_by(day, dict(entry.releases)), f"the newest of {day}")
    return Engine(name or "vllm", "", "")


def name_of(text: str) -> str:
    lower = text.lower()
    return next((name for name, pattern in NAMES if re.search(pattern, lower)), "vllm")


def _version(text: str, name: str) -> str:
    """The number right after the engine's own name; a digit that is an `x` stands for the middle of its decade."""
    pattern = rf"{dict(NAMES).get(name, 'vllm')}(?:-cpu|-[a-z]+)?\s*[~v(]*\s*(\d+\.\d*x?(?:\.(?:\d+|x))?)"
    found = re.search(pattern, text)
    if not found:
        return ""
    version = re.sub(r"(?<=\d)x$", "5", found[1]).rstrip(".")
    version = version.removesuffix(".x")
    return version if version.count(".") > 1 else f"{version}.{LATEST_PATCH}"


def _day(text: str) -> str:
    """`2026-09-14`, `2026-09`, `Feb 2025`, `nvcr 25.09`, or the middle of a year that stands alone."""
    if found := re.search(r"\b(20[2-3]\d)-(\d\d)(?:-(\d\d))?\b", text):
        return f"{found[1]}-{found[2]}-{found[3] or '28'}"
    if found := re.search(rf"\b({'|'.join(MONTHS)})[a-z]* (20[2-3]\d)\b", text):
        return f"{found[2]}-{MONTHS.index(found[1]) + 1:02}-28"
    if found := re.search(r"\b(2[3-9])\.(0[1-9]|1[0-2])\b", text):
        return f"20{found[1]}-{found[2]}-28"
    if found := re.search(r"(?<![\w.])(20[2-3]\d)(?![\w.])", text):
        return f"{found[1]}-07-01"
    return ""


def _day_of_issue(source: str, entry: EngineEntry) -> str:
    """The last known day before an issue of this number was opened."""
    found = re.search(rf"\b{entry.name}#(\d+)", source)
    known = {int(number): day for number, day in entry.issues.items()}
    before = [number for number in known if found and number <= int(found[1])]
    return known[max(before)] if before else ""


def _released_by(day: str, releases: dict[str, str]) -> str:
    out = [version for version, released in releases.items() if released <= day]
    return max(out, key=lambda version: releases[version]) if out else min(releases, key=lambda one: releases[one])
