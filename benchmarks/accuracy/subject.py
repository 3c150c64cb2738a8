"""What a case served: the model's shape, the precision, the bytes of its files, and the drafter beside it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy.cases import Case
from provisioner.catalog import Catalog
from provisioner.model.catalog import Geometry, ModelEntry
from provisioner.model.record import replace
from provisioner.planning.asked import names
from provisioner.planning.memory import checkpoints, drafting, sharding

WEIGHS = re.compile(r"(\d+(?:\.\d+)?)\s*(GiB|GB)\b")
FOUR_BITS = ("awq", "gptq", "w4a16", "int4", "nvfp4", "mxfp4")
EIGHT_BITS = ("fp8_block128", "fp8", "int8")


@dataclass(frozen=True)
class Subject:
    geometry: Geometry
    precision: str
    bytes: int
    context: int
    drafter: str

    @property
    def cached(self) -> Geometry:
        """The shape that the cache has layers for."""
        return drafting.with_drafter(self.geometry, self.drafter)

    @property
    def drafter_bytes(self) -> int:
        return drafting.weights_bytes(self.geometry, self.drafter)


def subject_of(catalog: Catalog, case: Case, on_host: bool = False) -> Subject | str:
    """The model by its name, else by a config.json that the case points to; a text says why it is not to be known.

    `on_host`: the experts stay in the host's memory, as KTransformers keeps them. A shape that is only known in part has
    no bytes, and can still break a rule.
    """
    named = names.lookup(catalog, case.model) if case.model else None
    if named is None:
        return _from_config(case)
    entry = named.entry
    if not entry.architecture.layers or not entry.architecture.vocab:
        return Subject(entry.architecture, named.precision or "bf16", 0, entry.context, "")
    precision = _precision(entry, case, named.precision)
    size = _stated_bytes(case) or _bytes(entry, precision)
    if size is None:
        return f"no checkpoint of {entry.id} in {precision} is known, nor how it is made"
    if on_host:
        precision = precision if precision in checkpoints.SCHEMES else "bf16"
        size -= sharding.tensors(entry.architecture, size, precision).experts
        return Subject(replace(entry.architecture, experts=0, dense_layers=0), precision, size, entry.context, "")
    return Subject(entry.architecture, precision, size, entry.context, _drafter(case))


def _drafter(case: Case) -> str:
    return case.text("spec", "speculative", "speculative_config", "speculative_model", "speculative_algorithm")


def _precision(entry: ModelEntry, case: Case, said: str | None) -> str:
    """As the case says it, in the words of the catalog; its like with as many bits only where nothing tells how it is made.

    A like one would bring its own rules and its own type of cache along. `4 bits` says no more than that: the published kind
    is meant.
    """
    stated = names.published(entry, names.precision_of(case.quant))
    wanted = stated or said or names.published(entry, names.precision_of(entry.native)) or "bf16"
    alike = next((kinds for kinds in (FOUR_BITS, EIGHT_BITS) if wanted in kinds), ())
    choices = [wanted, *([said] if said in alike else []), *alike]
    published = next((kind for kind in choices if entry.checkpoint(kind) is not None), wanted)
    return wanted if wanted != "int4" and _bytes(entry, wanted) is not None else published


def _bytes(entry: ModelEntry, precision: str) -> int | None:
    found = checkpoints.checkpoint_of(entry, precision)
    if found is not None:
        return found.bytes
    offer = entry.offer(precision)
    return offer.bytes if offer is not None else None


def _stated_bytes(case: Case) -> int | None:
    """A size that belongs to the name of the files: `mixed fp8/int4 (~140 GB)`."""
    found = WEIGHS.search(case.quant) or WEIGHS.search(case.model)
    return int(float(found[1]) * (10**9 if found[2] == "GB" else 1 << 30)) if found else None


def _from_config(case: Case) -> Subject | str:
    path = Path(case.config or case.model)
    path = path / "config.json" if path.is_dir() else path
    if not (case.model or case.config):
        return "the case names no model"
    if path.suffix != ".json" or not path.is_file():
        return f"`{case.model}` is not in the catalog, and no config.json is given"
    return _read_config(path, case)


def _read_config(path: Path, case: Case) -> Subject | str:
    from provisioner.weights.hfconfig import facts_of_config

    try:
        facts = facts_of_config(json.loads(path.read_text(encoding="utf-8")))
        precision = names.precision_of(case.quant) or facts.precision or "bf16"
        size = _stated_bytes(case) or checkpoints.checkpoint_bytes(facts.geometry, precision)
    except (ValueError, KeyError, ZeroDivisionError) as error:
        return f"{path.name} is of no use: {error}"
    return Subject(facts.geometry, precision, size, facts.context, _drafter(case))
