"""Carries effects out on this machine. Each may be repeated: what is done already stays done."""

import os
import secrets
import subprocess

from provisioner.errors import RunFailed
from provisioner.model.actions import (
    Action,
    Activate,
    Download,
    Entrust,
    LinkFile,
    LoadImages,
    MakeCertificate,
    MakeFolder,
    MakeKey,
    MakeModel,
    MergeParts,
    PullImage,
    RemoveFile,
    RemoveTree,
    RestoreSnapshot,
    RunTool,
    StartProcess,
    StopProcess,
    TakeFile,
    TakeSnapshot,
    WriteFile,
    WriteRelease,
)
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.world import files, processes
from provisioner.world.store import Store


class Executor:
    """The hands of a run: where things are, where releases are recorded, and who watches."""

    def __init__(self, place: Place, store: Store, progress: Progress) -> None:
        self.place = place
        self.store = store
        self.progress = progress

    def carry_out(self, action: Action) -> None:
        """Do it; what the operating system refuses becomes one clear error."""
        try:
            self._do(action)
        except OSError as error:
            raise files.explain(error, f"carrying out `{action}`") from error

    def _do(self, action: Action) -> None:
        match action:
            case MakeModel() | TakeFile() | Download() | MergeParts():
                self._bring(action)
            case StopProcess(pid=pid, started=started):
                processes.stop(pid, started)
            case StartProcess():
                self._start(action)
            case PullImage() | LoadImages():
                self._bring_images(action)
            case TakeSnapshot() | RestoreSnapshot():
                _keep(action)
            case MakeCertificate():
                _certify(action)
            case RunTool(argv, seconds):
                run_tool(argv, seconds)
            case WriteRelease():
                # Before its services start: systemd gives a sandboxed one this folder, and does not make it.
                files.make_folder(f"{self.place.state}/logs", 0o700)
                _change_files(action)
            case Activate() | Entrust():
                self._record(action)
            case _:
                _change_files(action)

    def _record(self, action: Activate | Entrust) -> None:
        """What is entrusted stands in the journal already, which every step does."""
        if isinstance(action, Activate):
            self.store.activate(action.digest)

    def _bring(self, action: MakeModel | TakeFile | Download | MergeParts) -> None:
        from provisioner.world import bring

        bring.bring(action, self.place, self.store, self.progress.bytes)

    def _bring_images(self, action: PullImage | LoadImages) -> None:
        from provisioner.world import images

        match action:
            case PullImage(name):
                images.pull(name, self.progress.bytes)
            case LoadImages(archive):
                images.load(archive, self.progress.bytes)

    def _start(self, action: StartProcess) -> None:
        log = f"{self.place.state}/logs/{action.service}.log"
        files.make_folder(os.path.dirname(log), 0o700)
        part = [f"{processes.PART}{action.part}"] if action.part else []
        processes.start_detached([self.place.python, "-I", "-m", processes.KEEPER, *part, action.unit], log)


def _change_files(action: MakeKey | MakeFolder | LinkFile | WriteRelease | WriteFile | RemoveFile | RemoveTree) -> None:
    match action:
        case MakeKey(path):
            _make_key(path)
        case MakeFolder(path, mode):
            files.make_folder(path, mode)
        case LinkFile(blob, path):
            _link(blob, path)
        case WriteRelease(release, folder):
            # One of this name that is there is not as it was written.
            files.remove_tree(folder)
            files.write_tree(folder, {file.path: (file.content, file.mode) for file in release.files})
        case WriteFile(path, content, mode):
            files.make_folder(os.path.dirname(path))
            files.write_whole(path, content, mode)
        case RemoveFile(path):
            files.remove_file(path)
        case RemoveTree(path):
            files.remove_tree(path)


def _keep(action: TakeSnapshot | RestoreSnapshot) -> None:
    from provisioner.world import snapshots

    match action:
        case TakeSnapshot(data, names, folder):
            snapshots.take(data, names, folder)
        case RestoreSnapshot(folder, data, names):
            snapshots.restore(folder, data, names)


def _certify(action: MakeCertificate) -> None:
    from provisioner.world import certificates

    certificates.make(action)


def _make_key(path: str) -> None:
    if not os.path.exists(path):
        files.own_folder(os.path.dirname(path))
        files.write_whole(path, secrets.token_hex(24) + "\n", 0o600)


def _link(blob: str, path: str) -> None:
    folder = os.path.dirname(path)
    files.make_folder(folder)
    beside = f"{path}.tmp"
    files.remove_file(beside)
    os.link(blob, beside)
    os.replace(beside, path)
    # Of two names for one file neither goes when one is moved onto the other.
    files.remove_file(beside)
    files.sync_folder(folder)


def run_tool(argv: tuple[str, ...], seconds: int) -> str:
    """Run a tool of the machine to its end; its own words are the reason when it fails."""
    try:
        done = subprocess.run(
            argv,
            capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL, env=_environment(),
        )  # fmt: skip
    except FileNotFoundError:
        raise RunFailed(f"`{argv[0]}` is not installed here", fix="install it, or choose another --target") from None
    except subprocess.TimeoutExpired:
        raise RunFailed(f"`{' '.join(argv)}` did not end within {seconds} s", fix="run it by hand to see why") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise RunFailed(f"`{' '.join(argv)}` failed: {words}", fix=_remedy(argv, words))
    return done.stdout


def _environment() -> dict[str, str]:
    """`systemctl --user` asks where its manager listens; after `su`, and in a job of cron, nobody has said."""
    return {"XDG_RUNTIME_DIR": f"/run/user/{os.geteuid()}", **os.environ}


def _remedy(argv: tuple[str, ...], words: str) -> str:
    from provisioner.world.containers import TAKEN

    if "--user" in argv and "connect to bus" in words:
        return "loginctl enable-linger   (as root with the user's name), then the same command again"
    if argv[0] == "docker" and (port := TAKEN.search(words)):
        return f"end the other program that listens on {port[1]} (`ss -ltnp` names it), then the same command again"
    if argv[0] != "systemctl" or not argv[-1].endswith(".service"):
        return "run it by hand to see why"
    manager = " --user" if "--user" in argv else ""
    return f"journalctl{manager} -n 30 -u {argv[-1]}   (why it did not start)"
