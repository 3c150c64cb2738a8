"""Unit files in a folder of systemd's: which of them are this state's own, and whether the service manager would take more."""

import os

from provisioner.model.plugins import Place, ServiceManager

SYSTEM_RUNS = "/run/systemd/system"
LINGER = "/var/lib/systemd/linger"
HALF = ".tmp"


def ours(place: Place) -> list[tuple[str, str]]:
    """Name and text of our units; a folder of such a name (`systemctl edit` makes one) is its owner's."""
    texts = ((name, _text(f"{place.unit_folder}/{name}")) for name in _candidates(place.unit_folder))
    return [(name, text) for name, text in texts if text.startswith(place.mark)]


def enabled(place: Place) -> list[str]:
    """Links that start a unit of ours with the machine; one that leads nowhere is ours where nobody else's is there."""
    folder = place.unit_folder
    known = {name for name, _ in ours(place)}
    return [
        f"{wants}/{name}" for wants in _names(folder) if wants.endswith(".wants")
        for name in _candidates(f"{folder}/{wants}")
        if name in known or (_leads_to(f"{folder}/{wants}/{name}", f"{folder}/{name}") and not os.path.lexists(f"{folder}/{name}"))
    ]  # fmt: skip


def half_made(place: Place) -> list[str]:
    """What a run that was killed while it wrote a unit has left; systemd passes such names over."""
    return [
        f"{place.unit_folder}/{name}" for name in _names(place.unit_folder)
        if name.endswith(HALF) and _is_candidate(name.removesuffix(HALF))
    ]  # fmt: skip


def service_manager(place: Place) -> ServiceManager:
    """The one that a plan for systemd would use, and what it would find in its folder."""
    known = {name for name, _ in ours(place)}
    user = _user() if place.user_manager else None
    return ServiceManager(
        user=user,
        answers=os.path.exists(f"/run/user/{os.geteuid()}/systemd/private" if user else SYSTEM_RUNS),
        lingers=user is None or os.path.exists(f"{LINGER}/{user}"),
        folder=place.unit_folder,
        writable=_writable(place.unit_folder),
        others=tuple(name for name in _candidates(place.unit_folder) if name not in known),
    )


def _user() -> str:
    """The name that lingering goes by; a number where the machine has no name for it."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _candidates(folder: str) -> list[str]:
    return [name for name in _names(folder) if _is_candidate(name)]


def _is_candidate(name: str) -> bool:
    return name == "provision.slice" or (name.startswith("provision-") and name.endswith(".service"))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # `su` and `setpriv` leave HOME as it was: of a folder that we may not look into nothing is ours.
        return []


def _text(path: str) -> str:
    """Empty where there is none to read; such a file is none of ours."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _leads_to(link: str, path: str) -> bool:
    return os.path.islink(link) and os.path.join(os.path.dirname(link), os.readlink(link)) == path


def _writable(folder: str) -> bool:
    """Whether files can be made there, or the folder itself where it is not there yet."""
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
