"""A model from a checkpoint's own files: a folder of this machine, or a repository that only a hub knows."""

from provisioner.model.facts import Unknown
from provisioner.model.weights import CheckpointFolder, Shelf
from provisioner.planning.stock import Subject, in_store, plain


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
        origin=f"offered by {folder.source}" if folder.source else "files of this machine",
        format="safetensors",
        group=config.group,
    )
