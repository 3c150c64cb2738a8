"""Where weights are offered: addresses and listings of Hugging Face, ModelScope and mirrors that speak like them.

Hugging Face: `GET /api/models/{repository}/tree/main?recursive=true` lists `{type, path, size, lfs: {oid, size}}`, where
`lfs.oid` is the sha256; pages follow by the `Link` header (huggingface.co/docs/huggingface.js, `ListFileEntry`).
ModelScope: `GET /api/v1/models/{repository}/repo/files?Revision=master&Recursive=true` lists `Data.Files` of
`{Type, Path, Size, Sha256}` (modelscope's `hub/api.py` and its constant `FILE_HASH`).

An origin is one string: `hub:<source>/<owner>/<name>/<file>`, or `hub:` and the whole address at a mirror.
"""

from provisioner.errors import BadInput
from provisioner.model.record import dataclass

HUGGINGFACE, MODELSCOPE = "huggingface", "modelscope"
HOSTS = {HUGGINGFACE: "https://huggingface.co", MODELSCOPE: "https://www.modelscope.cn"}
REVISIONS = {HUGGINGFACE: "main", MODELSCOPE: "master"}
RESOLVE = "/resolve/"


@dataclass(frozen=True, slots=True)
class Place:
    """One file at a hub. `source` is a hub's name or the address of a mirror."""

    source: str
    repository: str
    file: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a repository as its hub lists it; `sha256` is None where the hub names none."""

    path: str
    size_bytes: int
    sha256: str | None
    git: str = ""
    """Git's own hash of a file that is no large one (sha1 of `blob SIZE\\0` and the content); empty where the hub names none."""


def check_source(source: str) -> str:
    """A source that can be asked, without a slash at its end."""
    if source in HOSTS:
        return source
    if source.startswith(("https://", "http://")) and len(source.split("/", 2)[2]) > 0:
        return source.rstrip("/")
    raise BadInput(
        f"`{source}` is no source of weights",
        fix="--source huggingface, --source modelscope, or the address of a mirror: --source https://HOST",
    )


def origin_of(place: Place) -> str:
    if place.source in HOSTS:
        return f"hub:{place.source}/{place.repository}/{place.file}"
    return f"hub:{place.source}/{place.repository}{RESOLVE}main/{place.file}"


def place_of(origin: str) -> Place:
    """The parts of an origin; ValueError when it is none."""
    kind, _, rest = origin.partition(":")
    if kind != "hub":
        raise ValueError(f"{origin!r} is not offered by a hub")
    if rest.startswith(("https://", "http://")):
        address, _, tail = rest.partition(RESOLVE)
        *base, owner, name = address.split("/")
        source, file = "/".join(base), tail.partition("/")[2]
    else:
        source, owner, name, file = (*rest.split("/", 3), "", "", "")[:4]
        if source not in HOSTS:
            raise ValueError(f"{origin!r} names no hub that is known")
    if not all((owner, name, file)) or ".." in (owner, name, *file.split("/")):
        raise ValueError(f"{origin!r} names no file of a repository")
    return Place(source, f"{owner}/{name}", file)


def repository_of(origin: str) -> tuple[str, str]:
    """Source and repository of an origin that stands for all files of one: `hub:<source>/<owner>/<name>/`."""
    source, _, repository = origin.removeprefix("hub:").rstrip("/").partition("/")
    if source not in HOSTS or repository.count("/") != 1:
        raise ValueError(f"{origin!r} names no repository of a hub that is known")
    return source, repository


def url_of(origin: str) -> str:
    """The address that the file of an origin is downloaded from."""
    from urllib.parse import quote

    place = place_of(origin)
    revision = REVISIONS.get(place.source, "main")
    models = "/models" if place.source == MODELSCOPE else ""
    host = HOSTS.get(place.source, place.source)
    return f"{host}{models}/{quote(place.repository)}{RESOLVE}{revision}/{quote(place.file)}"


def listing_url(source: str, repository: str) -> str:
    """The address of the list of a repository's files."""
    from urllib.parse import quote

    host = HOSTS.get(source, source)
    if source == MODELSCOPE:
        return f"{host}/api/v1/models/{quote(repository)}/repo/files?Revision=master&Recursive=true"
    return f"{host}/api/models/{quote(repository)}/tree/main?recursive=true"


def parse_listing(source: str, document: object) -> tuple[Listed, ...]:
    """The files of one page; what cannot be understood is a ValueError."""
    if source != MODELSCOPE:
        entries, names = document, ("path", "size")
    else:
        data = document.get("Data") if isinstance(document, dict) else None
        entries, names = data.get("Files") if isinstance(data, dict) else None, ("Path", "Size")
    if not isinstance(entries, list):
        raise ValueError("the hub's answer is no list of files")
    files = [_listed(entry, *names) for entry in entries if isinstance(entry, dict) and _is_file(entry)]
    return tuple(file for file in files if file is not None)


def _is_file(entry: dict[str, object]) -> bool:
    return entry.get("type", entry.get("Type")) in ("file", "blob")


def _listed(entry: dict[str, object], path_name: str, size_name: str) -> Listed | None:
    large = entry.get("lfs")
    path, size, claimed = entry.get(path_name), entry.get(size_name), entry.get("Sha256")
    if isinstance(large, dict):
        size, claimed = large.get("size", size), large.get("oid", claimed)
    if not isinstance(path, str) or not isinstance(size, int) or size < 0:
        return None
    own = entry.get("oid") if large is None else None
    git = own if isinstance(own, str) and len(own) == 40 else ""
    return Listed(path, size, claimed if isinstance(claimed, str) and is_sha256(claimed) else None, git)


def is_sha256(text: str) -> bool:
    return len(text) == 64 and all(letter in "0123456789abcdef" for letter in text)


def next_page(link: str) -> str | None:
    """The address of the next page in a `Link` header (RFC 8288), None on the last."""
    for part in link.split(","):
        address, _, attributes = part.partition(";")
        if 'rel="next"' in attributes and address.strip().startswith("<"):
            return address.strip()[1:-1]
    return None


def matches(wanted: str, path: str) -> bool:
    """Whether a listed file is the wanted one, or one part of it (`NAME-00001-of-00009.gguf`, in whatever folder)."""
    stem, name = wanted.lower().removesuffix(".gguf"), path.rsplit("/", 1)[-1].lower()
    if name == f"{stem}.gguf":
        return True
    part = name.removeprefix(f"{stem}-").removesuffix(".gguf").split("-of-")
    return name.startswith(f"{stem}-") and len(part) == 2 and all(number.isdecimal() for number in part)
