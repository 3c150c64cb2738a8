"""Which files a model would be served from: those at hand first, then what the hub offers, then what the catalog says."""

from collections.abc import Mapping

from provisioner.model.catalog import Checkpoint, Geometry, GgufOffer, ModelEntry
from provisioner.model.facts import Unknown
from provisioner.model.load import GROUP
from provisioner.model.plan import WeightFile
from provisioner.model.record import dataclass, field, fields, replace
from provisioner.model.spec import Rung
from provisioner.model.weights import GgufHeader, LocalFile, Shelf, TensorBytes, name_of_whole
from provisioner.planning.memory.checkpoints import checkpoint_of

ROUNDED = 1.01
"""Sizes that were published rounded to two or three digits are taken one hundredth larger."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One model in one precision, from files that are known by name and size at least."""

    id: str
    title: str
    precision: str
    geometry: Geometry
    parameters: int
    active_parameters: int
    context: int
    files: tuple[WeightFile, ...]
    weights_bytes: int
    source: str
    origin: str
    """Where the files come from, in words."""
    format: str = "gguf"
    group: int = GROUP
    """Values that share a scale, in a quantization by groups; 0 where a whole column does."""
    tensors: TensorBytes | None = None
    """What the files themselves say of their tensors; None where they have not been read."""
    repositories: tuple[str, ...] = ()
    """Of a checkpoint of the catalog: its names at all hubs that have it."""
    methods: Mapping[str, str] = field(default_factory=dict)
    """By engine what it is told that the files are, where it does not read it from them."""


def is_path(model: str) -> bool:
    return "/" in model or model.lower().endswith(".gguf")


def beyond_training(rung: Rung, subject: Subject) -> str:
    if subject.context and rung.context > subject.context:
        return f"{rung.context} tokens of context, and {subject.title} was trained for {subject.context}"
    return ""


def from_catalog(entry: ModelEntry, precision: str, shelf: Shelf) -> Subject | str:
    """The model in this precision, or the reason why it cannot be had."""
    offer = entry.offer(precision)
    if offer is None:
        known = ", ".join(sorted(offer.precision for offer in entry.gguf)) or "none"
        return f"no GGUF of {entry.title} as {precision} is known (known: {known})"
    local = _at_hand(offer, shelf)
    wrong = _contradiction(entry, local)
    if wrong:
        return wrong
    files, origin = _files(entry, offer, local, shelf)
    return Subject(
        id=entry.id,
        title=entry.title,
        precision=precision,
        geometry=entry.architecture,
        parameters=entry.parameters,
        active_parameters=entry.active_parameters or entry.parameters,
        context=entry.context,
        files=files,
        weights_bytes=sum(file.size_bytes for file in files),
        source=offer.source,
        origin=origin,
        tensors=_tensors(local),
    )


SAME_SIZE = {"fp16": ("bf16",), "bf16": ("fp16",), "fp8": ("fp8_block128",), "fp8_block128": ("fp8",)}
"""Where a model is published in the other of two that engines load alike."""


WIDE = {"bf16", "fp16"}
"""Engines compute in either, whichever of them the files are in."""


def published(entry: ModelEntry, precision: str, makers: frozenset[str] | None = None) -> Checkpoint | None:
    """The checkpoint that somebody offers in this precision for these makers' cards, or in the other of two that engines load alike."""
    known = (entry.checkpoint(name, makers) for name in (precision, *SAME_SIZE.get(precision, ())))
    return next((one for one in known if one and one.repositories), None)


def from_checkpoint(
    entry: ModelEntry, precision: str, source: str = "", makers: frozenset[str] | None = None
) -> Subject | str:
    """The model as safetensors in this precision, or the reason why it cannot be had; from the hub that the operator prefers."""
    offered = published(entry, precision, makers)
    found = offered or checkpoint_of(entry, precision, makers)
    if found is None:
        known = ", ".join(sorted(one.precision for one in entry.checkpoints)) or "none"
        return f"no checkpoint of {entry.title} in {precision} is known (known: {known})"
    repositories = found.repositories or entry.repositories
    repository = next(iter(repositories.items()), ("huggingface", entry.id))
    repository = (source, repositories[source]) if source in repositories else repository
    size = found.bytes if found.exact else round(found.bytes * ROUNDED)
    source = found.source if offered else f"{found.source}; nobody is known to publish it"
    origin = "size from the catalog; no hub was asked"
    kind = "hub" if offered else "convert"
    if not offered:
        origin = f"nobody is known to publish it: it would have to be converted from {repository[1]}; size computed"
    return Subject(
        id=entry.id,
        title=entry.title,
        precision=precision if {precision, found.precision} <= WIDE else found.precision,
        geometry=entry.architecture,
        parameters=entry.parameters,
        active_parameters=entry.active_parameters or entry.parameters,
        context=entry.context,
        files=(WeightFile(f"{repository[1]}/*.safetensors", size, None, f"{kind}:{repository[0]}/{repository[1]}/"),),
        weights_bytes=size,
        source=source,
        origin=origin,
        format="safetensors",
        group=found.group or GROUP,
        repositories=tuple(repositories.values()),
        methods=found.methods,
    )


def _files(
    entry: ModelEntry, offer: GgufOffer, local: tuple[LocalFile, ...], shelf: Shelf
) -> tuple[tuple[WeightFile, ...], str]:
    if offer.made:
        return (WeightFile(offer.file, offer.bytes, offer.sha256, "made"),), "made on the spot"
    if local:
        return tuple(in_store(_weight_file(file), shelf) for file in local), "files of this machine"
    offered = _offered(offer, shelf)
    if offered:
        source = offered[0].origin.split("/", 1)[0].removeprefix("hub:")
        return tuple(in_store(file, shelf) for file in offered), f"offered by {source}"
    repository = next(iter(offer.repositories.items()), ("huggingface", entry.id))
    size = offer.bytes if offer.exact else round(offer.bytes * ROUNDED)
    origin = f"hub:{repository[0]}/{repository[1]}/{offer.file}"
    return (WeightFile(offer.file, size, offer.sha256, origin),), "size from the catalog; no hub was asked"


def _at_hand(offer: GgufOffer, shelf: Shelf) -> tuple[LocalFile, ...]:
    return _complete([file for file in shelf.local if _names(offer, _base(file.path))])


def _offered(offer: GgufOffer, shelf: Shelf) -> tuple[WeightFile, ...]:
    if isinstance(shelf.offered, Unknown):
        return ()
    repositories = tuple(offer.repositories.values())
    found = [
        file
        for file in shelf.offered
        if _names(offer, _base(file.name)) and any(repository in file.origin for repository in repositories)
    ]
    return tuple(sorted(found, key=lambda file: file.name))


def _names(offer: GgufOffer, name: str) -> bool:
    """Whether this is the file of the offer, or one shard of it (`…-00001-of-00009.gguf`)."""
    stem, word = offer.file.lower().removesuffix(".gguf"), name.lower()
    if word == f"{stem}.gguf":
        return True
    shard = word.removeprefix(f"{stem}-").removesuffix(".gguf").split("-of-")
    return word.startswith(f"{stem}-") and len(shard) == 2 and all(part.isdecimal() for part in shard)


def _complete(files: list[LocalFile]) -> tuple[LocalFile, ...]:
    """One file, or all shards of one model in their order; hashed ones are preferred; () when a shard is missing."""
    by_name: dict[str, LocalFile] = {}
    for file in sorted(files, key=lambda file: (file.sha256 is None, file.path)):
        by_name.setdefault(_base(file.path), file)
    ordered = tuple(by_name[name] for name in sorted(by_name))
    wanted = next((file.header.shards for file in ordered if isinstance(file.header, GgufHeader)), 1)
    return ordered if len(ordered) == max(1, wanted) else ()


def _contradiction(entry: ModelEntry, files: tuple[LocalFile, ...]) -> str:
    """Why files that bear the right name are not this model after all; empty when they are."""
    for file in files:
        if isinstance(file.header, Unknown):
            return f"{file.path} cannot be used: {file.header.reason}"
        layers = file.header.layers
        if layers not in (0, entry.architecture.layers):
            return f"{file.path} is not {entry.title}: it has {layers} layers, not {entry.architecture.layers}"
    return _disorder(files)


def _disorder(files: tuple[LocalFile, ...]) -> str:
    """Which part of a split model is another one than its name says; empty when none is."""
    for place, file in enumerate(files):
        header = file.header
        if isinstance(header, GgufHeader) and (header.shard, header.shards) != (place, len(files)):
            return (
                f"{file.path} cannot be used: its header says that it is part {header.shard + 1} of {header.shards}, "
                f"and it stands in the place of part {place + 1} of {len(files)}"
            )
    return ""


def from_path(path: str, shelf: Shelf) -> Subject | str:
    """A GGUF that the operator named, planned from its own header."""
    named = [file for file in shelf.local if _means(path, file.path)]
    if not named:
        return f"{path} was not found, or it is no GGUF file"
    first = named[0]
    if isinstance(first.header, Unknown):
        return f"{path} cannot be used: {first.header.reason}"
    files = _with_siblings(first, first.header, shelf)
    if len(files) != max(1, first.header.shards):
        return f"{path} is one of {first.header.shards} parts, and {len(files)} of them are there"
    return _disorder(files) or _from_header(first.header, files, shelf)


def _means(path: str, file: str) -> bool:
    """A file by its path or the end of it, or one at a hub by its repository: `hub:huggingface/owner/name/x.gguf`."""
    return file == path or file.endswith("/" + path.lstrip("./")) or (file.startswith("hub:") and f"/{path}/" in file)


def _with_siblings(first: LocalFile, header: GgufHeader, shelf: Shelf) -> tuple[LocalFile, ...]:
    if header.shards <= 1:
        return (first,)
    stem = first.path.rsplit("-", 3)[0]
    siblings = {file.path: file for file in shelf.local if file.path.rsplit("-", 3)[0] == stem}
    return tuple(siblings[path] for path in sorted(siblings))


def _from_header(header: GgufHeader, files: tuple[LocalFile, ...], shelf: Shelf) -> Subject:
    first = _base(files[0].path)
    name = (name_of_whole(first) if len(files) > 1 else first).removesuffix(".gguf")
    active = header.experts_used / header.experts if header.experts else 1.0
    return Subject(
        id=plain(name),
        title=header.name or name,
        precision=header.quantization,
        geometry=header.geometry or geometry_of(header),
        parameters=header.parameters,
        active_parameters=max(1, int(header.parameters * active)),
        context=header.context,
        files=tuple(in_store(_weight_file(file), shelf) for file in files),
        weights_bytes=sum(file.size_bytes for file in files),
        source="the file's own header",
        origin="files of this machine",
        tensors=_tensors(files),
    )


def _tensors(files: tuple[LocalFile, ...]) -> TensorBytes | None:
    """Of all parts of a model together; None where one of them could not be read."""
    known = [file.header.tensors for file in files if isinstance(file.header, GgufHeader)]
    if not known or len(known) < len(files):
        return None
    return TensorBytes(**{one.name: sum(getattr(part, one.name) for part in known) for one in fields(TensorBytes)})


def geometry_of(header: GgufHeader) -> Geometry:
    return Geometry(
        kind=header.architecture,
        layers=header.layers,
        kv_layers=header.kv_layers,
        hidden=header.hidden,
        feed_forward=header.feed_forward,
        heads=header.heads,
        kv_heads=header.kv_heads,
        key_length=header.key_length,
        value_length=header.value_length,
        vocab=header.vocab,
        kv_lora_rank=header.kv_lora_rank,
        rope_dimensions=header.rope_dimensions,
        experts=header.experts,
        experts_used=header.experts_used,
        expert_feed_forward=header.feed_forward if header.experts else 0,
    )


def in_store(file: WeightFile, shelf: Shelf) -> WeightFile:
    """What the store holds already comes from there: it takes no more space, whatever became of where it came from."""
    if shelf.stored is None or file.sha256 is None or file.sha256 not in shelf.stored:
        return file
    return replace(file, origin=shelf.stored[file.sha256])


def _weight_file(file: LocalFile) -> WeightFile:
    return WeightFile(_base(file.path), file.size_bytes, file.sha256, file.path)


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def plain(name: str) -> str:
    """A name that is safe as a model id: lower case, everything unusual a dash."""
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name.lower()).strip("-")
