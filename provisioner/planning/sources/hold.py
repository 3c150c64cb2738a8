"""What to bring when a model is wanted in the store and nothing is to be started: no machine is asked whether it fits."""

from provisioner.catalog import Catalog
from provisioner.errors import BadInput
from provisioner.model.catalog import ModelEntry
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.names import Named, find_model, of_catalog, published
from provisioner.planning.sources import stock
from provisioner.planning.sources.folders import folder_named, from_folder, with_files
from provisioner.planning.sources.stock import Subject

FORMATS = ("gguf", "safetensors")


def subject_of(spec: Spec, kind: str | None, catalog: Catalog, shelf: Shelf) -> Subject:
    """The model with its files, as far as anybody has listed them; `BadInput` where it is not to be had."""
    name = spec.model or ""
    if folder_named(name, shelf) is not None:
        found = from_folder(name, shelf)
    elif name.startswith("/") or (stock.is_path(name) and of_catalog(catalog, name) is None):
        found = stock.from_path(name, shelf)
    else:
        found = _of_catalog(find_model(catalog, name), spec.precision, kind, shelf)
    if isinstance(found, str):
        raise BadInput(found, fix="provision model add --help   (what can be named)")
    if found.files[0].origin.startswith("convert:"):
        raise BadInput(f"{found.title} in {found.precision}: {found.origin}", fix="another --precision")
    return found


def _of_catalog(named: Named, asked: str | None, kind: str | None, shelf: Shelf) -> Subject | str:
    entry = named.entry
    known = precisions(entry, kind or ("gguf" if named.gguf else None))
    precision = published(entry, asked or named.precision) or (known[0] if len(known) == 1 else None)
    if precision not in known:
        what = f"is not published as {precision}" if precision else "is published in several precisions"
        raise BadInput(f"{entry.title} {what}", fix=f"--precision with one of: {', '.join(known)}")
    held = stock.published(entry, precision) is not None and kind != "gguf" and not named.gguf
    if held and (kind == "safetensors" or entry.offer(precision) is None):
        return with_files(stock.from_checkpoint(entry, precision, shelf.source), shelf)
    return stock.from_catalog(entry, precision, shelf)


def precisions(entry: ModelEntry, kind: str | None) -> tuple[str, ...]:
    """In which precisions a model is published, those of engines that share checkpoints first."""
    held = [one.precision for one in entry.checkpoints if one.repositories] if kind != "gguf" else []
    files = [one.precision for one in entry.gguf] if kind != "safetensors" else []
    return tuple(dict.fromkeys((*held, *files)))
