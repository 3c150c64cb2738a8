"""A model at a hub before anything of it is downloaded: its list of files, the small ones, and the headers of its weights."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from provisioner.errors import RunFailed
from provisioner.model.facts import Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass
from provisioner.model.weights import CheckpointFolder, GgufHeader, LocalFile
from provisioner.weights import gguf, hubs
from provisioner.weights.checkpoint import Source, describe, is_checkpoint
from provisioner.weights.formats import PICKLES
from provisioner.weights.safetensors import LARGEST_INDEX, LENGTH, Tensor, header_length, parse_header
from provisioner.world.http import listing
from provisioner.world.ranges import PATIENT, Patience, read_part, reader

WORKERS = 8
FIRST = 256 << 10
"""Of each shard at first: the headers of most fit into it, so that one request is enough."""
LARGEST_HEADER = 32 << 20
"""Of one shard at a hub; those of the largest models are some 100 KiB."""
MOST_PARTS = 512
PREFERRED = "q4_k_m"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Found:
    """What a repository holds. Of several GGUF files only those of one precision were looked into."""

    folders: tuple[CheckpointFolder, ...] = ()
    local: tuple[LocalFile, ...] = ()
    """GGUF files; their paths are origins at the hub."""
    offered: tuple[WeightFile, ...] = ()
    """All weight files that could be served."""


def look_at(source: str, repository: str, precision: str = "", patience: Patience = PATIENT) -> Found:
    """Everything that planning needs of a repository; a `UserError` when it cannot be reached, or holds no model."""
    listed = listing(source, repository, patience.pause)
    files = [
        WeightFile(file.path, file.size_bytes, file.sha256, hubs.origin_of(hubs.Place(source, repository, file.path)))
        for file in listed if ".." not in file.path.split("/") and not file.path.startswith("/")
    ]  # fmt: skip
    top = [file for file in files if "/" not in file.name]
    ggufs = [file for file in files if file.name.lower().endswith(".gguf")]
    folders = (_checkpoint(source, repository, top, patience),) if is_checkpoint([file.name for file in top]) else ()
    if not folders and not ggufs:
        raise RunFailed(
            f"{source}: the repository {repository} holds no model that can be served here{_why(files)}",
            fix="name one with a config.json and safetensors, or with GGUF files",
        )
    local = _headers_of(_chosen(ggufs, precision), patience) if ggufs else ()
    weights = tuple(file for folder in folders for file in folder.files)
    return Found(folders, local, (*weights, *(_based(file) for file in ggufs)))


def _why(files: Sequence[WeightFile]) -> str:
    pickled = [file.name for file in files if file.name.lower().endswith(PICKLES)]
    return f": {pickled[0]} can run code when it is loaded" if pickled else ""


def _checkpoint(source: str, repository: str, files: Sequence[WeightFile], patience: Patience) -> CheckpointFolder:
    by_name = {file.name: file for file in files}
    return describe(
        Source(
            path=repository,
            source=source,
            title=repository.rpartition("/")[2],
            files=files,
            small=lambda name: _small(by_name[name], patience),
            headers=lambda shards: _all(shards, lambda file: _tensors(file, patience)),
        )
    )


def _small(file: WeightFile, patience: Patience) -> bytes:
    if file.size_bytes > LARGEST_INDEX:
        raise ValueError(f"it is larger than {LARGEST_INDEX >> 20} MiB")
    return read_part(hubs.url_of(file.origin), 0, file.size_bytes, file.name, patience)


def _tensors(file: WeightFile, patience: Patience) -> tuple[Tensor, ...] | Unknown:
    url = hubs.url_of(file.origin)
    start = read_part(url, 0, min(FIRST, file.size_bytes), file.name, patience)
    try:
        length = header_length(start, file.size_bytes)
        if length > LARGEST_HEADER:
            raise ValueError(f"its header would be {length >> 20} MiB: it is damaged or hostile")
        rest = read_part(url, len(start), LENGTH + length - len(start), file.name, patience)
        text = (start + rest)[LENGTH : LENGTH + length]
        return parse_header(text, file.size_bytes - LENGTH - length)
    except ValueError as error:
        return Unknown(str(error))


def _all(items: Sequence[WeightFile], work: Callable[[WeightFile], Result]) -> Mapping[str, Result]:
    """Several at a time; the first error that is the user's to know ends them all."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(WORKERS) as pool:
        started = {item.name: pool.submit(work, item) for item in items}
        try:
            return {name: future.result() for name, future in started.items()}
        finally:
            pool.shutdown(cancel_futures=True)


def _chosen(files: Sequence[WeightFile], precision: str) -> list[WeightFile]:
    """The parts of one model: of the precision that is wanted, else of the usual one, else the smallest."""
    groups: dict[str, list[WeightFile]] = {}
    for file in files:
        groups.setdefault(_stem(file.name), []).append(file)
    models = {stem: parts for stem, parts in groups.items() if "mmproj" not in stem.lower()} or groups
    for word in (precision.lower(), PREFERRED):
        named = [parts for stem, parts in models.items() if word and word in stem.lower().replace("-", "_")]
        if named:
            return sorted(named[0], key=lambda file: file.name)[:MOST_PARTS]
    smallest = min(models.values(), key=lambda parts: sum(part.size_bytes for part in parts))
    return sorted(smallest, key=lambda file: file.name)[:MOST_PARTS]


def _stem(name: str) -> str:
    stem = name[: -len(".gguf")]
    before, part, total = stem.rpartition("-of-")
    return before.rpartition("-")[0] if part and total.isdecimal() else stem


def _headers_of(files: Sequence[WeightFile], patience: Patience) -> tuple[LocalFile, ...]:
    headers = _all(files, lambda file: _header(file, patience))
    return tuple(LocalFile(file.origin, file.size_bytes, file.sha256, headers[file.name]) for file in files)


def _header(file: WeightFile, patience: Patience) -> GgufHeader | Unknown:
    try:
        return gguf.read_header(reader(hubs.url_of(file.origin), file.name, patience), file.size_bytes)
    except ValueError as error:
        return Unknown(str(error))


def _based(file: WeightFile) -> WeightFile:
    return WeightFile(file.name.rpartition("/")[2], file.size_bytes, file.sha256, file.origin)
