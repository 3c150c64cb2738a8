"""The program of this environment with a state folder and a port of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

from provisioner.world import processes
from tests.ports import free_port

PLANNING = ("up", "upgrade", "plan", "render")
"""The verbs that are told what is wanted."""


@dataclass
class Appliance:
    state: str
    port: int = field(default_factory=free_port)
    planned: tuple[str, ...] = ("--profile", "demo")
    program: str = os.path.join(os.path.dirname(sys.executable), "provision")

    def words(self, verb: str, *more: str) -> list[str]:
        planned = (*self.planned, "--set", f"port={self.port}") if verb in PLANNING else ()
        return [self.program, verb, *planned, "--state-dir", self.state, *more]

    def run(self, verb: str, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: PLW1510 - `check` is among the options
            self.words(verb, *more),
            **{
                "capture_output": True,
                "text": True,
                "timeout": 120,
                "check": False,
                "stdin": subprocess.DEVNULL,
                **options,
            },
        )

    def ok(self, verb: str, *more: str, **options: Any) -> subprocess.CompletedProcess[str]:
        done = self.run(verb, *more, **options)
        assert done.returncode == 0, f"{verb} {more}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, verb: str, *more: str, code: int = 0, **options: Any) -> dict[str, Any]:
        """The one document that `--json` prints; nothing else may stand beside it."""
        done = self.run(verb, "--json", *more, **options)
        assert done.returncode == code, f"{verb} {more}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        document = json.loads(done.stdout)
        assert isinstance(document, dict)
        return document

    @property
    def key(self) -> str:
        with open(f"{self.state}/secrets/llm.key", encoding="utf-8") as stream:
            return stream.read().strip()

    def keeper(self) -> int:
        (one,) = processes.running(self.state)
        return one.pid

    def engine(self) -> int:
        engine = processes.engine_of(self.keeper())
        assert engine is not None
        return engine

    def release(self) -> str:
        (one,) = processes.running(self.state)
        return one.digest

    def snapshot(self) -> dict[str, tuple[int, float]]:
        """Every file of the state with its size and time, the database apart: what a run that does nothing leaves alone."""
        return {
            os.path.join(folder, name): (status.st_size, status.st_mtime)
            for folder, _, names in os.walk(self.state)
            for name in names
            if not name.startswith(("state.db", "lock")) and not name.endswith(".log")
            for status in (os.stat(os.path.join(folder, name)),)
        }

    def end(self) -> None:
        for one in processes.running(self.state):
            processes.stop(one.pid, one.started)
