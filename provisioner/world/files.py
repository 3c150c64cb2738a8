"""Files that are either whole or not there: every write ends in an fsync and a rename."""

import errno
import os
import stat
import sys

from provisioner.errors import Refused, RunFailed


def write_whole(path: str, content: str, mode: int = 0o644) -> None:
    """Replace the file at once; a reader, or a power cut, sees the old text or the new one."""
    beside = f"{path}.tmp"
    remove_file(beside, durable=False)
    _write_new(beside, content, mode)
    os.replace(beside, path)
    sync_folder(os.path.dirname(path))


def _write_new(path: str, content: str, mode: int) -> None:
    """A file that is not there yet, with its bytes on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", closefd=False) as stream:
            stream.write(content)
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: str) -> None:
    """Make the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: str, mode: int = 0o755, *, durable: bool = True) -> None:
    """Make a folder and those above it that are missing, each of them durable; the mode is that of the last."""
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    make_folder(above, durable=durable)
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not os.path.isdir(path):
            raise
    if durable:
        sync_folder(above)


def write_tree(folder: str, files: dict[str, tuple[str, int]]) -> None:
    """Write a whole folder of the state beside its place, then move it there; what was half written before goes first."""
    beside = f"{folder}.tmp"
    remove_tree(beside)
    make_folder(os.path.dirname(beside))
    make_folder(beside, durable=False)
    fill_tree(beside, folder, files)


def write_new_tree(folder: str, files: dict[str, tuple[str, int]]) -> None:
    """The same where nothing but this folder is ours: what lies beside it is left alone."""
    import shutil
    import tempfile

    beside = tempfile.mkdtemp(prefix=f".{os.path.basename(folder)}.", dir=os.path.dirname(folder))
    try:
        os.chmod(beside, 0o755)  # noqa: S103 - a rendered folder holds no secret
        fill_tree(beside, folder, files)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def fill_tree(beside: str, folder: str, files: dict[str, tuple[str, int]]) -> None:
    """Write the files, then give the folder its name; before it has that nobody looks in, so each part is synced once."""
    for name, (content, mode) in files.items():
        path = os.path.join(beside, name)
        make_folder(os.path.dirname(path), durable=False)
        _write_new(path, content, mode)
    sync_folders(beside)
    os.rename(beside, folder)
    sync_folder(os.path.dirname(folder))


def sync_folders(folder: str) -> None:
    """A folder and all below it."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                sync_folders(entry.path)
    sync_folder(folder)


def remove_tree(path: str) -> None:
    """Remove a folder; it loses its name first, so that nobody takes half of it for the whole."""
    if not os.path.lexists(path):
        return
    import shutil  # It brings three packers along, and most verbs remove nothing.

    if not path.endswith(".tmp"):
        aside = f"{path}.tmp"
        if os.path.lexists(aside):
            shutil.rmtree(aside)
        os.rename(path, aside)
        sync_folder(os.path.dirname(path))
        path = aside
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def remove_file(path: str, *, durable: bool = True) -> None:
    """Remove a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    if durable:
        sync_folder(os.path.dirname(path))


def own_folder(path: str) -> None:
    """A folder for us alone; one that leads elsewhere, or belongs to somebody else, is refused."""
    make_folder(path, 0o700)
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise Refused(
            f"{path}: this is a link, or somebody else's folder: no key is put there",
            fix=f"look at it with `ls -ld {path}`, and move it away",
        )
    if status.st_mode & 0o077:
        os.chmod(path, 0o700)


def data_path(kind: str, name: str) -> str:
    """A data file that travels with the program (templates, profiles, charts, playbooks), by its kind."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for root in (package, os.path.dirname(package)):
        path = os.path.join(root, kind, name)
        if os.path.exists(path):
            return path
    raise RunFailed(
        f"the installation lacks {kind}/{name}",
        fix=f"{sys.executable} -m pip install --force-reinstall provision-appliance",
    )


def explain(error: OSError, doing: str) -> Refused | RunFailed:
    """The operating system's refusal as an error of ours, with the remedy for the causes that have one."""
    where = f"{error.filename}: " if error.filename else ""
    reason = os.strerror(error.errno) if error.errno else str(error)
    remedies = {
        errno.ENOSPC: "free some space there (`df -h`), or put the state elsewhere with --state-dir",
        errno.EDQUOT: "raise the quota, or put the state elsewhere with --state-dir",
        errno.EROFS: "the file system is read-only: remount it, or put the state elsewhere with --state-dir",
        errno.EACCES: "run as the owner of that folder (sudo), or choose another with --state-dir",
        errno.EPERM: "run as the owner of that folder (sudo), or choose another with --state-dir",
        errno.ENOENT: "choose a folder on a real file system with --state-dir",
        errno.ENOTDIR: "choose another folder with --state-dir",
        errno.EIO: "the disk reports errors: look at `dmesg`, then run the same command again",
    }
    refusals = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR)
    kind = Refused if error.errno in refusals else RunFailed
    return kind(
        f"{where}{reason} while {doing}",
        fix=remedies.get(error.errno or 0, "run the same command again; it goes on where it stopped"),
    )
