"""A model from a checkpoint's own files: a folder of this machine, or a repository that only a hub knows."""

from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import replace
from provisioner.model.weights import CheckpointFolder, Shelf
from provisioner.planning.sources.stock import SAME_SIZE, Subject, in_store, plain

WEIGHTS = ".safetensors"


def folder_named(model: str, shelf: Shelf) -> CheckpointFolder | None:
    """The checkpoint on the shelf that is meant: by its path, by `owner/name`, or by the end of its path."""
    word = model.rstrip("/")
    exact = next((folder for folder in shelf.folders if folder.path.rstrip("/") == word), None)
    if exact is not None:
        return exact
    ending = [folder for folder in shelf.folders if folder.path.endswith(f"/{word.removeprefix('./')}")]
    return ending[0] if len(ending) == 1 else None


def from_folder(model: str, shelf: Shelf) -> Subject | str:
    """The model in the precision that its files have, or the reason why it cannot be had."""
    folder = folder_named(model, shelf)
    if folder is None:
        return f"{model} was not found, or it is no folder with a config.json and safetensors"
    config, tensors = folder.config, folder.tensors
    if isinstance(config, Unknown) or isinstance(tensors, Unknown):
        return f"{model} cannot be used: {folder.problem}"
    return Subject(
        id=plain(folder.title),
        title=folder.title,
        precision=config.precision,
        geometry=config.geometry,
        parameters=folder.parameters,
        active_parameters=folder.active_parameters,
        context=config.context,
        files=tuple(in_store(file, shelf) for file in folder.files),
        weights_bytes=tensors.loaded,
        source="its own config.json and the headers of its weights",
        origin=_origin(folder),
        format="safetensors",
        group=config.group,
    )


def _origin(folder: CheckpointFolder) -> str:
    where = f"offered by {folder.source}" if folder.source else "files of this machine"
    more = f" and {len(folder.left_out) - 1} more" if len(folder.left_out) > 1 else ""
    return where if not folder.left_out else f"{where}; {folder.left_out[0]}{more} left out: such files can run code"


def with_files(subject: Subject | str, shelf: Shelf) -> Subject | str:
    """A checkpoint of the catalog with its files, where they are at hand or a hub has listed them."""
    if isinstance(subject, str) or not subject.files[0].origin.startswith("hub:"):
        return subject
    names = tuple(
        dict.fromkeys(("/".join(subject.files[0].origin.rstrip("/").rsplit("/", 2)[1:]), *subject.repositories))
    )
    for folder in shelf.folders:
        if not folder.source and any(_is_of(folder.path, name) for name in names) and _alike(folder, subject):
            return _from_disk(subject, folder, shelf)
    files = next(filter(None, (_listed(name, shelf) for name in names)), ())
    if not files:
        return subject
    size = sum(file.size_bytes for file in files if file.name.endswith(WEIGHTS))
    source = files[0].origin.split("/", 1)[0].removeprefix("hub:")
    return replace(
        subject,
        files=tuple(in_store(file, shelf) for file in files),
        weights_bytes=size,
        origin=f"offered by {source}",
    )


def _is_of(path: str, repository: str) -> bool:
    """Whether a folder is this repository: by its name, or in a cache of the hub (`models--owner--name/snapshots/…`)."""
    word = path.rstrip("/").lower()
    name = repository.lower()
    return word.rpartition("/")[2] == name.rpartition("/")[2] or f"/models--{name.replace('/', '--')}/" in word


def _alike(folder: CheckpointFolder, subject: Subject) -> bool:
    """Of the same precision; another one that bears the name is another model."""
    if isinstance(folder.config, Unknown):
        return True
    precision = folder.config.precision
    return subject.precision in (precision, *SAME_SIZE.get(precision, ()))


def _from_disk(subject: Subject, folder: CheckpointFolder, shelf: Shelf) -> Subject | str:
    if isinstance(folder.config, Unknown) or isinstance(folder.tensors, Unknown):
        return f"{folder.path} cannot be used: {folder.problem}"
    layers, wanted = folder.config.geometry.layers, subject.geometry.layers
    if layers != wanted:
        return f"{folder.path} is not {subject.title}: it has {layers} layers, not {wanted}"
    return replace(
        subject,
        files=tuple(in_store(file, shelf) for file in folder.files),
        weights_bytes=folder.tensors.loaded,
        origin=_origin(folder),
    )


def _listed(repository: str, shelf: Shelf) -> tuple[WeightFile, ...]:
    """All files of a checkpoint as a hub listed them; () where none did, or not all."""
    offered = () if isinstance(shelf.offered, Unknown) else shelf.offered
    files = {
        file.name: file
        for file in offered
        if file.origin.endswith(f"/{repository}/{file.name}") or _mirrored(file, repository)
    }
    parts = [name for name in files if name.endswith(WEIGHTS)]
    wanted = max((int(name.removesuffix(WEIGHTS).rpartition("-of-")[2]) for name in parts if _is_part(name)), default=1)
    whole = "config.json" in files and len(parts) >= wanted and all(file.sha256 for file in files.values())
    return tuple(files[name] for name in sorted(files) if not name.endswith(".gguf")) if parts and whole else ()


def _mirrored(file: WeightFile, repository: str) -> bool:
    return file.origin.endswith(f"/{repository}/resolve/main/{file.name}")


def _is_part(name: str) -> bool:
    return name.removesuffix(WEIGHTS).rpartition("-of-")[2].isdecimal()
