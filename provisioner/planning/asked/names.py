"""Names of models as people and hubs write them: which entry is meant, and which precision the name implies.

A wrong match is worse than none. The words of a name that tell models apart (family, version, size, kind) must all be the
same; what is left out are the words that do not: the maker, `Instruct`, the precision, and the date of a re-release where
a size stands beside it.
"""

import re
from collections.abc import Iterable, Iterator

from provisioner.catalog import Catalog, nearest
from provisioner.errors import BadInput
from provisioner.model.catalog import GgufOffer, ModelEntry
from provisioner.model.record import dataclass, replace

Words = frozenset[str]

MAKERS = frozenset(
    ("meta", "google", "microsoft", "nvidia", "ibm", "mistralai", "qwen3moe", "openai", "zai", "thudm", "moonshotai",
     "minimaxai", "redhatai", "neuralmagic", "unsloth", "bartowski", "casperhansen", "cohere", "cohereforai", "c4ai",
     "tiiuae", "bigcode", "allenai", "01", "ai", "lmstudio", "community", "thebloke", "hugging", "face", "nousresearch")
)  # fmt: skip
STYLES = frozenset(("instruct", "chat", "it", "hf", "model", "instruction", "original", "release", "class", "qat"))
"""Words for how a model was trained to answer, which does not change its shape."""

PRECISION_WORDS = frozenset(
    ("awq", "gptq", "int4", "int8", "fp8", "fp4", "nvfp4", "mxfp4", "bf16", "fp16", "f16", "fp32", "w4a16", "w8a8", "w8a16",
     "4bit", "8bit", "bnb", "dynamic", "static", "block", "block128", "channel", "tensor", "per", "quantized",
     "quant", "gguf", "g128", "g32", "marlin", "symmetric", "autoround", "q4", "q8", "mlx", "float8", "float16", "bfloat16",
     "modelopt", "compressed", "tensors", "online", "ud")
)  # fmt: skip

PRECISIONS = (
    ("int4_fp8", r"(?=.*int4)(?=.*fp8)|(?=.*fp8)(?=.*w4a16)"),
    ("mxfp4_fp8", r"(?=.*fp4)(?=.*fp8)"),
    ("nvfp4", r"nvfp4|nv fp4"),
    ("mxfp4", r"mxfp4|\bfp4\b"),
    ("gptq_int8", r"(?=.*gptq)(?=.*(int8|8 ?bit))|w8a16"),
    ("awq", r"awq"),
    ("gptq", r"gptq"),
    ("w4a16", r"w4a16"),
    ("fp8_block128", r"(fp8|e4m3|float8).*block"),
    ("fp8", r"fp8|float8|e4m3"),
    ("int8", r"w8a8|int8|8 ?bit"),
    ("bnb", r"bnb|bitsandbytes|\bnf4"),
    ("int4", r"int4|\b4 ?bit"),
    ("bf16", r"bf16|bfloat16"),
    ("fp16", r"\bfp16|\bf16|float16|\bhalf\b"),
    ("fp32", r"fp32|float32|\bf32"),
)
"""The first that fits; a text that names several says how they are combined only in the pairs at the top."""

GGUF = re.compile(r"\b((?:ud )?(?:i?q[1-8]|tq[12]) (?:k(?: (?:xl|[sml]))?|[01]|xxs|xs|s|m|nl))(?![a-z0-9])")
GGUF_WORD = re.compile(r"(?i)(?<![a-z])gguf(?![a-z])")
SIZE = re.compile(r"^e?\d+(\.\d+)?[bmt]$|^\d+x\d+(\.\d+)?b$|^\d+e$")
ACTIVE = re.compile(r"^a\d+(\.\d+)?b$")
DATE = re.compile(r"^\d{4}$|^20\d{6}$")
BESIDE = re.compile(r"\([^)]*\)|\[[^]]*\]| \+ .*| / .*")
"""Remarks in brackets, a drafter that comes with the model, and the second of two alternatives."""
BITS = re.compile(r"\b[48] bits?\b")
HEADS = re.compile(r"\b\d+[ -]heads?\b")
WHOLE_ROWS = re.compile(r"dynamic|static|channel|tensor")
"""Words that say that FP8 has no scale for each block, whatever the makers of the model publish."""


UNKNOWN = "name a model of the catalog, as its makers or a hub write it, or the folder that its files are in"


@dataclass(frozen=True, slots=True)
class Named:
    entry: ModelEntry
    precision: str | None
    """What the name says, as the entry publishes it; None where the name says nothing."""
    alias: str = ""
    """The alias that was meant, where it is not the entry's own name: the same shape, but perhaps other weights."""
    gguf: str = ""
    """The name of GGUF files and of no other: a repository's, or a model's name that says so; empty where any may be meant."""

    @property
    def offers(self) -> tuple[str, ...]:
        """The precisions that there are under that name, the largest file first."""
        return tuple(one.precision for one in offers_under(self.entry, self.gguf))


def offers_under(entry: ModelEntry, name: str) -> tuple[GgufOffer, ...]:
    """The GGUF files of a repository, or all that are known where no repository was named; the largest first."""
    held = (one for one in entry.gguf if "/" not in name or name.lower() in map(str.lower, one.repositories.values()))
    return tuple(sorted(held, key=lambda one: -one.bytes))


def find_model(catalog: Catalog, text: str) -> Named:
    """The model that a text names; `BadInput` with the nearest names where there is none, or more than one."""
    found = lookup(catalog, text)
    if found is None:
        known = [name for key in catalog.models for name in _names(catalog, key)]
        near = " or ".join(f"`{name}`" for name in nearest(text, known))
        raise BadInput(f"unknown model `{text}`", fix=f"did you mean {near}?" if near else UNKNOWN)
    return found


def of_catalog(catalog: Catalog, text: str) -> Named | None:
    """What the catalog can plan; not a repository of GGUF files that it does not know, as only its hub can tell which they are."""
    found = lookup(catalog, text)
    if found is None or not GGUF_WORD.search(text.rsplit("/", 1)[-1]):
        return found
    found = replace(found, gguf=text)
    return found if found.offers or "/" not in text else None


def lookup(catalog: Catalog, text: str) -> Named | None:
    """The same without complaint."""
    if text in catalog.models:
        return Named(catalog.model(text), None)
    return _by_whole_name(catalog, text) or _by_words(catalog, text)


def _by_whole_name(catalog: Catalog, text: str) -> Named | None:
    """A name that the catalog holds letter by letter, case apart; a checkpoint's repository names its precision too."""
    wanted = text.strip().lower()
    for key in catalog.models:
        for name in _names(catalog, key):
            if wanted == name.lower():
                return _named(catalog, key, name, text)
        for precision, repository in _checkpoints(catalog, key):
            if wanted in (repository.lower(), repository.lower().rsplit("/", 1)[-1]):
                return Named(catalog.model(key), precision)
    return None


def _by_words(catalog: Catalog, text: str) -> Named | None:
    """The one entry whose words agree, first without the remarks beside the name, then with them."""
    for wanted in dict.fromkeys((words(BESIDE.sub("", text)), words(text))):
        near = [(key, name, words(name)) for key, name in _holding(catalog, _without(DATE, wanted))]
        for agrees in (_same, _same_apart_from_date, _same_apart_from_active, _same_apart_from_maker):
            found = {key: name for key, name, each in reversed(near) if wanted and agrees(wanted, each)}
            if len(found) == 1:
                ((key, name),) = found.items()
                return _named(catalog, key, name, text)
    return None


def _holding(catalog: Catalog, wanted: Words) -> Iterator[tuple[str, str]]:
    """Names in which all these words stand somewhere, which takes less time than to part each name into its own."""
    for key in catalog.models:
        for name in _names(catalog, key):
            if all(word in name.lower() for word in wanted):
                yield key, name


def _named(catalog: Catalog, key: str, name: str, text: str) -> Named:
    entry = catalog.model(key)
    said = precision_of(text.rsplit("/", 1)[-1])
    exactly = said == "fp8" and WHOLE_ROWS.search(text.lower())
    return Named(entry, said if exactly else published(entry, said), name if name in entry.aliases else "")


def _same(wanted: Words, name: Words) -> bool:
    return wanted == name


def _same_apart_from_date(wanted: Words, name: Words) -> bool:
    """A re-release of the same size has the same shape; where no size is said, the date is all that tells models apart."""
    return _sized(wanted) and _without(DATE, wanted) == _without(DATE, name)


def _same_apart_from_active(wanted: Words, name: Words) -> bool:
    """`Qwen3 235B` for `Qwen3-235B-A22B`."""
    bare = _without(DATE, wanted)
    return _sized(wanted) and not any(map(ACTIVE.match, wanted)) and bare == _without(ACTIVE, _without(DATE, name))


def _same_apart_from_maker(wanted: Words, name: Words) -> bool:
    """`R1 distill Llama 70B` for `DeepSeek-R1-Distill-Llama-70B`."""
    return _sized(wanted) and len(wanted) > 2 and _without(DATE, wanted) == _without(DATE, name) - {"deepseek"}


def _sized(name: Words) -> bool:
    return any(map(SIZE.match, name))


def _without(pattern: re.Pattern[str], name: Words) -> Words:
    return frozenset(word for word in name if not pattern.match(word))


def words(text: str) -> Words:
    """What tells models apart, of a name: `Qwen/Qwen2.5-7B-Instruct-AWQ` is qwen, 2.5 and 7b.

    A size alone is a name (the tiers are called so), but what is left of `70B-Instruct` is none.
    """
    last = HEADS.sub(" ", text.strip().lower().rsplit("/", 1)[-1]).removesuffix(".gguf")
    plain = BITS.sub(" ", GGUF.sub(" ", re.sub(r"[^a-z0-9.]+|(?<![0-9])\.|\.(?![0-9])", " ", last)))
    said = frozenset(_parted(plain))
    found = said - MAKERS - STYLES - PRECISION_WORDS
    return frozenset() if said & STYLES and all(map(SIZE.match, found)) else found


def _parted(plain: str) -> Iterator[str]:
    """Words, with a family and its version apart (`qwen2.5`), and letters that belong to a number left with it (`v3`, `a3b`)."""
    for word in plain.split():
        family = re.fullmatch(r"([a-z]{3,})(\d+(?:\.\d+)*)([a-z]?)", word)
        if family and word not in PRECISION_WORDS:
            yield from (family[1], family[2] + family[3])
        else:
            yield "distill" if word == "distilled" else word


def _names(catalog: Catalog, key: str) -> Iterator[str]:
    """What an entry is called, read from the document as it is: decoding every entry would take longer than the search."""
    raw = catalog.models[key]
    yield key
    if not isinstance(raw, dict):
        return
    yield from raw.get("aliases", ())
    yield from raw["repositories"].values()
    if "ollama" in raw:
        yield raw["ollama"]["tag"]


def _checkpoints(catalog: Catalog, key: str) -> Iterator[tuple[str, str]]:
    raw = catalog.models[key]
    if isinstance(raw, dict):
        own = tuple(raw["repositories"].values())
        for checkpoint in raw.get("checkpoints", ()):
            yield from (
                (checkpoint["precision"], name) for name in checkpoint["repositories"].values() if name not in own
            )


def precision_of(text: str) -> str | None:
    """The precision that a text names: `awq-int4`, `int8 w8a8`, `gguf Q4_K_M`, `mixed fp8/int4 (~140 GB)`."""
    plain = re.sub(r"[^a-z0-9.]+", " ", text.lower())
    quant = GGUF.search(plain)
    if quant:
        return quant[1].replace(" ", "_")
    return next((name for name, pattern in PRECISIONS if re.search(pattern, plain)), None)


def published(entry: ModelEntry, precision: str | None) -> str | None:
    """What a word means for this model: `fp8` is what its makers publish under that word, `int4` whichever 4 bits there are."""
    if precision is None or entry.checkpoint(precision) is not None or entry.offer(precision) is not None:
        return precision
    return next((kind for kind in _kinds(precision) if entry.checkpoint(kind) is not None), precision)


def _kinds(precision: str) -> Iterable[str]:
    """Closest first."""
    if precision == "int4":
        return ("int4", "w4a16", "awq", "gptq")
    if precision == "w4a16":
        return ("int4",)
    if precision == "mxfp4":
        return ("nvfp4", "mxfp4_fp8")
    if precision in ("fp8", "fp8_block128"):
        return ("fp8_block128", "fp8")
    return ()
