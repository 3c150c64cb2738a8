"""The weights in the store: what is there, what came, what went, and what is damaged."""

from provisioner.documents import Json
from provisioner.model.holdings import Damage, HeldFile, HeldModel, Holdings, Moved, Verified
from provisioner.views.layout import Look, count, harmless, remedy, size, table, wrapped

OF_NO_MODEL = "of no model"


def list_view(held: Holdings, look: Look) -> str:
    if not held.files and not held.part_bytes:
        return "\n".join(["No weights are here yet", *remedy("provision model add NAME", look, "  ")])
    rows = [
        ("on disk", "precision", "needed by", "model"),
        *(_row(model, held.in_force) for model in held.models),
        *([(_disk(held.loose), "-", "-", _loose(held.loose))] if held.loose else []),
    ]
    lines = table(rows, look) if len(rows) > 1 else []
    head = [look.paint(lines[0], "dim"), *lines[1:], ""] if lines else []
    return "\n".join([*head, *_sums(held, look)])


def _row(model: HeldModel, in_force: str | None) -> tuple[str, ...]:
    origin = origin_of(model.files)
    words = (model.id, *(() if model.sound else ("(changed)",)), *(("from", origin) if origin else ()))
    return size(model.disk_bytes), model.precision or "-", _needed(model, in_force), harmless(" ".join(words))


def _loose(files: tuple[HeldFile, ...]) -> str:
    """Of a run that did not come to the end, and of models that were removed in part."""
    origin = origin_of(files)
    return f"{count(len(files), 'file')} {OF_NO_MODEL}{f', from {origin}' if origin else ''}"


def _needed(model: HeldModel, in_force: str | None) -> str:
    """The release in force by that word, of others the first; `--json` has all of them."""
    if not model.releases:
        return "-"
    first = "in force" if in_force in model.releases else model.releases[0][:12]
    return first if len(model.releases) == 1 else f"{first} +{len(model.releases) - 1}"


def origin_of(files: tuple[HeldFile, ...]) -> str:
    """Where the first of a model's files came from, by the folder or the repository: the others came with it."""
    known = next((file.origin for file in files if file.origin), "")
    return harmless(known.removeprefix("hub:").rpartition("/")[0] or known)


def _disk(files: tuple[HeldFile, ...]) -> str:
    return size(sum(file.disk_bytes for file in files))


def _sums(held: Holdings, look: Look) -> list[str]:
    lines = [f"{size(held.disk_bytes)} on disk, each file counted once"]
    if held.shared_bytes:
        lines += wrapped(
            f"{size(held.shared_bytes)} of it are files of yours as well, and stay yours", look.width, "  "
        )
    if held.part_bytes:
        lines += wrapped(f"{size(held.part_bytes)} of downloads that were broken off", look.width, "  ")
    return lines


def moved_view(moved: Moved, look: Look) -> str:
    sign = look.paint(look.sign("✓", "ok"), "green")
    if moved.did == "remove":
        names = ", ".join(harmless(_named(model)) for model in moved.models)
        what = f"removed {names or 'weights of no model'}; {size(moved.freed_bytes)} are free" if moved.changed else ""
        return "\n".join(wrapped(f"{sign} {what or 'nothing had to be removed'}", look.width, "", "  "))
    lines = []
    for model in moved.models:
        how = "" if moved.changed else ", as it was"
        words = f"{sign} {_named(model)} is in the store{how}: {count(len(model.files), 'file')}, {size(model.disk_bytes)} on disk"
        lines += wrapped(harmless(words), look.width, "", "  ")
    return "\n".join(lines)


def _named(model: HeldModel) -> str:
    return f"{model.id} in {model.precision}" if model.precision else model.id


def verified_view(done: Verified, look: Look) -> str:
    read = f"{count(done.files, 'file')}, {size(done.bytes)}"
    if not done.damaged:
        sign = look.paint(look.sign("✓", "ok"), "green")
        return f"{sign} every file is what its hash says ({read})"
    sign = look.paint(look.sign("✗", "x"), "red")
    lines = [f"{sign} {len(done.damaged)} of {read} damaged"]
    for one in done.damaged:
        lines += ["", *wrapped(_said(one), look.width, "  ", "    "), *remedy(fix_of(one), look, "    ")]
    return "\n".join(lines)


def _said(one: Damage) -> str:
    what = f"its sha256 is {one.found}, not {one.file.sha256}" if one.found else "it cannot be read, or is changed now"
    return harmless(f"{one.model or OF_NO_MODEL}: {one.file.name}: {what}")


def fix_of(one: Damage) -> str:
    """It is no longer counted as stored, so that whoever wants it brings it anew."""
    if not one.model:
        return "provision model remove --unused"
    if one.file.shared and one.file.origin.startswith("/"):
        return f"put the right file at {one.file.origin}, which is the same, then run `provision up`"
    return "run `provision up`, or `provision model add` as before: it is brought anew"


def list_document(held: Holdings) -> dict[str, Json]:
    return {
        "schema": "provision.models/1",
        "disk_bytes": held.disk_bytes,
        "shared_bytes": held.shared_bytes,
        "part_bytes": held.part_bytes,
        "models": [entry(model) for model in held.models],
        "loose": [_file(file) for file in held.loose],
    }


def entry(model: HeldModel) -> dict[str, Json]:
    return {
        "id": model.id,
        "title": model.title,
        "precision": model.precision or None,
        "format": model.format,
        "folder": model.folder,
        "size_bytes": model.size_bytes,
        "disk_bytes": model.disk_bytes,
        "sound": model.sound,
        "releases": list(model.releases),
        "files": [_file(file) for file in model.files],
    }


def _file(file: HeldFile) -> dict[str, Json]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "size_bytes": file.size_bytes,
        "disk_bytes": file.disk_bytes,
        "origin": file.origin or None,
        "sound": file.sound,
        "shared": file.shared,
    }


def moved_document(moved: Moved) -> dict[str, Json]:
    return {
        "schema": "provision.model/1",
        "did": moved.did,
        "changed": moved.changed,
        "models": [entry(model) for model in moved.models],
        "freed_bytes": moved.freed_bytes,
    }


def verified_document(done: Verified) -> dict[str, Json]:
    return {
        "schema": "provision.verified/1",
        "ok": not done.damaged,
        "files": done.files,
        "bytes": done.bytes,
        "damaged": [
            {
                "model": one.model or None,
                "name": one.file.name,
                "sha256": one.file.sha256,
                "found": one.found or None,
                "fix": fix_of(one),
            }
            for one in done.damaged
        ],
    }
