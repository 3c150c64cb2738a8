"""A model that comes in parts, for an engine that loads a model of one file alone: what is merged of them, once they are here."""

from provisioner.model.plan import WeightFile
from provisioner.model.record import replace
from provisioner.model.weights import Shelf, key_of_parts, name_of_whole
from provisioner.planning.sources.stock import Subject, in_store


def in_one_file(subject: Subject, engine: str, shelf: Shelf) -> Subject:
    """The same model as one file: at hand where it was merged before, else made of its parts. Its hash is known by then."""
    parts = subject.files
    hashes = tuple(part.sha256 for part in parts if part.sha256)
    merged = shelf.merged.get(key_of_parts(hashes)) if len(hashes) == len(parts) else None
    name = name_of_whole(parts[0].name)
    whole = WeightFile(
        name=name,
        size_bytes=sum(part.size_bytes for part in parts),
        sha256=merged,
        origin=f"merged:{parts[0].origin.rpartition('/')[0]}/{name}",
        parts=() if merged else parts,
    )
    because = f"{subject.origin}; merged, because {engine} loads a GGUF of one file"
    return replace(subject, files=(in_store(whole, shelf),), origin=because)
