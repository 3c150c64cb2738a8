"""A state folder and a port of its own, in which a scenario is set up, struck and looked at again and again."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass, field

from provisioner.phases import survey
from provisioner.rendering import part_of
from provisioner.world import processes
from tests.ports import free_port
from tests.sweep.strace import program


def _copy(state: str, other: str) -> None:
    """A copy of a state folder in which weights stay the very files that were hashed."""
    os.makedirs(other)
    for name in os.listdir(state):
        how = "-al" if name in ("blobs", "models") else "-a"
        subprocess.run(["cp", how, f"{state}/{name}", f"{other}/{name}"], check=True)


@dataclass
class Slot:
    """`folder/state` is worked on, `folder/kept` is how the scenario begins."""

    folder: str
    port: int = field(default_factory=free_port)

    @property
    def state(self) -> str:
        return f"{self.folder}/state"

    @property
    def kept(self) -> str:
        return f"{self.folder}/kept"

    def words(self, verb: str, *more: str) -> list[str]:
        """A command of the program for this slot."""
        planned = ("--profile", "demo", "--set", f"port={self.port}") if verb == "up" else ()
        return program(verb, *planned, *more, "--state-dir", self.state)

    def run(self, verb: str, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(verb, *more), capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL
        )

    def keep(self) -> None:
        """Let the scenario begin as things stand now."""
        shutil.rmtree(self.kept, ignore_errors=True)
        if os.path.isdir(self.state):
            _copy(self.state, self.kept)

    def restore(self, *, started: bool) -> None:
        """Back to how the scenario begins; with the services of the release in force, where some were running."""
        self.clear()
        if os.path.isdir(self.kept):
            _copy(self.kept, self.state)
        digest = self.current() if started else None
        if digest:
            units = self._units(digest)
            for unit in units:
                processes.start_detached(self._keeper(unit), os.devnull)
            self._until_running(len(units))

    def _units(self, digest: str) -> list[str]:
        """What the keepers of a release are told, one file for each service."""
        folder = f"{self.state}/releases/{digest}/units"
        return [f"{folder}/{name}" for name in sorted(os.listdir(folder))] if os.path.isdir(folder) else []

    def _keeper(self, unit: str) -> list[str]:
        """As `up` starts it."""
        with open(unit, encoding="utf-8") as stream:
            part = f"{processes.PART}{part_of(stream.read())}"
        return [os.path.join(os.path.dirname(program()[0]), "python"), "-I", "-m", processes.KEEPER, part, unit]

    def _until_running(self, count: int) -> None:
        deadline = time.monotonic() + 10
        while len(processes.running(self.state)) < count:
            assert time.monotonic() < deadline, "the services of the kept release do not start"
            time.sleep(0.01)

    def clear(self) -> None:
        """End what runs and remove the state: nothing of one point is left for the next."""
        for one in processes.running(self.state):
            processes.stop(one.pid, one.started, patience=5.0)
        for pid in self.strays():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.state, ignore_errors=True)

    def strays(self) -> list[int]:
        """Every process that knows this state folder."""
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                try:
                    with open(f"/proc/{name}/cmdline", "rb") as stream:
                        words = stream.read()
                except OSError:
                    continue
                if f"{self.state}/".encode() in words:
                    found.append(int(name))
        return found

    def current(self) -> str | None:
        with sqlite3.connect(f"{self.state}/state.db") as database:
            made = database.execute("PRAGMA user_version").fetchone()[0]
            digest = database.execute("SELECT digest FROM current").fetchone()[0] if made else None
        database.close()
        return str(digest) if digest else None

    def faults(self, *, allowed: set[str | None], closed: bool = True) -> list[str]:
        """Everything that is neither the old state nor the new one; `allowed` are the releases that may be in force.

        A run whose journal could not be written cannot be `closed` either; the next run does that.
        """
        if not os.path.exists(f"{self.state}/state.db"):
            left = [name for _, _, names in os.walk(self.state) for name in names if name != "lock"]
            ok = None in allowed and not left and not self.strays()
            return [] if ok else [f"no state, and yet there are {left} and processes {self.strays()}"]
        digest = self.current()
        running = survey.running(self.state, digest)
        found = [] if digest in allowed else [f"{digest} is in force"]
        wanted = [(os.path.basename(unit).removesuffix(".json"), digest) for unit in self._units(digest or "")]
        if [(one.service, one.digest) for one in running] != wanted:
            found.append(f"running: {[(one.service, one.digest[:12]) for one in running]}, in force: {wanted}")
        found += [f"left over: {path}" for path in self._halves()]
        strays = set(self.strays()) - {pid for one in running for pid in processes.session_members(one.pid)}
        found += [f"process {pid} is left over" for pid in sorted(strays)]
        return [*found, *self._journal_faults(closed), *self._folder_faults(digest)]

    def _halves(self) -> list[str]:
        return [
            os.path.join(folder, name)
            for folder, folders, names in os.walk(self.state)
            for name in (*folders, *names)
            if name.endswith((".tmp", ".part", ".journal"))
        ]

    def _journal_faults(self, closed: bool) -> list[str]:
        with sqlite3.connect(f"{self.state}/state.db") as database:
            sound = database.execute("PRAGMA integrity_check").fetchone()[0]
            made = database.execute("PRAGMA user_version").fetchone()[0]
            opened = (
                database.execute("SELECT run FROM runs WHERE outcome = 'running'").fetchall() if made and closed else []
            )
        database.close()
        return [
            *([] if sound == "ok" else [f"database: {sound}"]),
            *(f"run {run} was never closed" for (run,) in opened),
        ]

    def _folder_faults(self, digest: str | None) -> list[str]:
        folder = f"{self.state}/releases"
        names = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if digest is None:
            keys = os.listdir(f"{self.state}/secrets") if os.path.isdir(f"{self.state}/secrets") else []
            return [f"left although nothing is in force: {name}" for name in (*sorted(names), *keys)]
        if digest not in names:
            return ["the release in force has no folder"]
        keys = os.listdir(f"{self.state}/secrets")
        return [] if len(keys) == 1 else [f"keys: {keys}"]

    def steady(self) -> str:
        """`plan --json` says that nothing is to be done, or what it would do."""
        done = self.run("plan", "--profile", "demo", "--set", f"port={self.port}", "--json")
        actions = json.loads(done.stdout)["actions"] if done.returncode == 0 else [done.stderr]
        return "; ".join(map(str, actions))
