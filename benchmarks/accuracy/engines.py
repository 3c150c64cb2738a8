"""Which engine a case ran, and in which version: said outright, by the day of the run, or not at all."""

import re
from dataclasses import dataclass

from provisioner.engines._constants import version_key
from provisioner.model.engines import EngineEntry

NAMES = (
    ("ktransformers", r"ktransformers|kt-kernel|sglang-kt"),
    ("vllm", r"vllm"),
    ("sglang", r"sglang"),
    ("ollama", r"ollama"),
    ("llamacpp", r"llama\.?cpp|llama-server"),
    ("lmstudio", r"lm ?studio"),
    (
        "another engine",
        r"tensorrt|trt-?llm|text-generation-inference|\btgi\b|lmdeploy|mindie|\bmlx\b|exllama|\bnim\b|transformers",
    ),
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
LATEST_PATCH = 99
"""`0.8`, `~0.8` and `0.8.x` are taken as the last release of their series."""
FIRST_ENGINE = re.compile(r"\bv0\b")
"""vLLM's first engine, which releases up to 0.10 still ran where they were told to, or where a card was too old."""
LAST_OF_FIRST = "0.7.99"


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
    name = name or "vllm"
    releases = dict(entry.releases) if entry is not None else {}
    day = _day(lower) or _day(source.lower()) or (_day_of_issue(source, entry) if entry is not None else "")
    said = _version(lower, name)
    if said:
        return Engine(name, _of_first(lower, _patch(said, day, releases)), "as stated")
    if day and releases:
        return Engine(name, _released_by(day, releases), f"the newest of {day}")
    return Engine(name, "", "")


def _of_first(text: str, version: str) -> str:
    """Memory goes by the engine, not by the release that it came with."""
    later = version_key(version) > version_key(LAST_OF_FIRST)
    return LAST_OF_FIRST if FIRST_ENGINE.search(text) and later else version


def name_of(text: str) -> str:
    """VLLM where none is named."""
    lower = text.lower()
    return next((name for name, pattern in NAMES if re.search(pattern, lower)), "vllm")


def is_named(text: str) -> bool:
    return any(re.search(pattern, text.lower()) for _, pattern in NAMES)


def _version(text: str, name: str) -> str:
    """The number after the engine's own name, of two the later; an `x` for a digit stands for the middle of its decade."""
    number = r"\d+\.\d*x?(?:\.(?:\d+|x))?"
    found = re.search(rf"(?:{dict(NAMES)[name]})(?:-[a-z]+)?\s*[~v(]*\s*({number})(?:\s*[-/]\s*({number}))?", text)
    if not found:
        return ""
    version = re.sub(r"(?<=\d)x$", "5", found[2] or found[1])
    return version.removesuffix(".x").rstrip(".")


def _patch(version: str, day: str, releases: dict[str, str]) -> str:
    """A series is the newest of it that was out by the day, where one is known, else its last."""
    if version.count(".") > 1:
        return version
    series = {one: released for one, released in releases.items() if one.startswith(f"{version}.")}
    if day and any(released <= day for released in series.values()):
        return _released_by(day, series)
    return f"{version}.{LATEST_PATCH}"


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
