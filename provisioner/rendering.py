"""From a plan to a release: every file, complete, and the digest that names them."""

import hashlib
import json
import os

from provisioner.documents import encode, encode_object
from provisioner.model.plan import Plan, Service, WeightFile
from provisioner.model.plugins import Place, Target
from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile

HERE = "@RELEASE@"
"""Stands in rendered files for the release's own folder, whose name is the digest of these very files."""

LIVE = "@LIVE@"
"""Stands in mounts for the folder of files that are read at one place whichever release is in force."""

UNNAMED = "to-be-named"
"""Stands for the digest of a release that is not rendered."""

PLAN = "plan.json"
UNITS = "systemd/"
"""Files in this folder are read by systemd, which gives `%`, `$`, quotes and backslashes a meaning."""


def render(plan: Plan, target: Target, place: Place) -> Release:
    """The release of a plan that fits. Same plan, same digest."""
    drafts = target.files(plan, place)
    digest = digest_of(drafts)
    folder = place.release(digest)
    rendered = (
        ReleaseFile(draft.path, draft.content.replace(HERE, _spelled(folder, draft.path)), draft.mode)
        for draft in drafts
    )
    files = (*rendered, ReleaseFile(PLAN, json.dumps(encode(replace(plan, files=())), indent=1, sort_keys=True)))
    return Release(
        digest=digest, target=target.name, files=files, services=plan.services, held=held_by(plan),
        secrets=secrets_of(plan, place), data=data_of(plan, place), makes=plan.makes, live=live_of(plan, files, place),
    )  # fmt: skip


def outlined(plan: Plan, target: Target, place: Place) -> Release:
    """The same without its files, for a machine that is not this one: what its images are pinned to, and so its name, is not known here."""
    return Release(
        digest=UNNAMED, target=target.name, files=(), services=plan.services, held=held_by(plan),
        secrets=secrets_of(plan, place), data=data_of(plan, place), makes=plan.makes,
    )  # fmt: skip


def held_by(plan: Plan) -> dict[str, tuple[WeightFile, ...]]:
    """Which weights lie in which folder: each model has its own, which its copies share."""
    pairs = (
        (folder, model)
        for service in plan.services
        for folder, model in zip(service.model_folders, plan.models_of(service), strict=False)
    )
    return {folder: model.files for folder, model in pairs}


def secrets_of(plan: Plan, place: Place) -> tuple[str, ...]:
    """Secrets that nobody but the containers knows: each lies in the folder of secrets; those in folders below have makers of their own."""
    found = (path for one in plan.beside for path in (*one.secrets, *one.secret_env.values()))
    return tuple(dict.fromkeys(path for path in found if os.path.dirname(path) == f"{place.state}/secrets"))


def data_of(plan: Plan, place: Place) -> tuple[str, ...]:
    """Folders that containers see, and that nobody else makes: their own, and those of secrets that are kept together."""
    sources = (mount.source for one in plan.beside for mount in one.mounts)
    above = (f"{place.state}/data", f"{place.state}/secrets")
    return tuple(dict.fromkeys(source for source in sources if os.path.dirname(source) in above))


def live_of(plan: Plan, files: tuple[ReleaseFile, ...], place: Place) -> tuple[ReleaseFile, ...]:
    """The files of a release that containers read at their lasting place; what is awaited comes last, and finds the others there."""
    sources = (mount.source for one in plan.beside for mount in one.mounts)
    folders = tuple(f"{source.removeprefix(f'{LIVE}/')}/" for source in sources if source.startswith(f"{LIVE}/"))
    found = [file for file in files if file.path.startswith(folders)]
    return tuple(
        replace(file, path=f"{place.live}/{file.path}") for file in sorted(found, key=lambda file: file.awaited)
    )


def unit_file(service: Service, place: Place, around: str = "") -> ReleaseFile:
    """All that the keeper of a service needs, and a mark of what its service manager does `around` it."""
    unit = {**encode_object(service), "log": f"{place.state}/logs/{service.name}.log"}
    if around:
        unit["around"] = part_of(around)
    return ReleaseFile(f"units/{service.name}.json", json.dumps(unit, indent=1, sort_keys=True))


def part_of(unit: str) -> str:
    """A hash of a unit file: a process that was started from the same one is the same service."""
    return hashlib.sha256(unit.encode()).hexdigest()[:16]


def parts_of(release: Release) -> dict[str, str]:
    """For each service the hash of all that its keeper is told."""
    units = {f"units/{service.name}.json": service.name for service in release.services}
    return {units[file.path]: part_of(file.content) for file in release.files if file.path in units}


def digest_of(drafts: tuple[ReleaseFile, ...]) -> str:
    """A hash over every path, mode and content, in an order of its own.

    The plan lies in the folder as a record and does not count: how much memory was free when it was made
    changes from minute to minute, and must not make the same services a new release.
    """
    document = json.dumps(sorted((draft.path, draft.mode, draft.content) for draft in drafts if draft.path != PLAN))
    return hashlib.sha256(document.encode()).hexdigest()


def drafts_of(files: tuple[ReleaseFile, ...], folder: str) -> tuple[ReleaseFile, ...]:
    """The files as they were before they knew their folder: what the digest is held against when they are read back."""
    return tuple(
        ReleaseFile(file.path, file.content.replace(_spelled(folder, file.path), HERE), file.mode) for file in files
    )


def _spelled(folder: str, path: str) -> str:
    """The release's folder as the reader of this file needs it: in a unit, within the quotes of a command line."""
    return command_word(folder) if path.startswith(UNITS) else folder


def command_word(word: str) -> str:
    """What stands between the quotes of one word of a command line of systemd."""
    return setting_word(word).replace("$", "$$")


def setting_word(word: str) -> str:
    """The same for any other setting: there are no variables in it."""
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
