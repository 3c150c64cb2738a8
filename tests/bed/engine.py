"""This side of `driver.py`: starts it once for a test run, and asks."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.bed import shapes
from tools.bed import PROJECT
from tools.engines import vllm_environment


class Engine:
    """vLLM's real classes behind a pipe."""

    def __init__(self, folder: Path, ask: IO[str], answers: IO[str]) -> None:
        self.folder, self._ask, self._answers = folder, ask, answers

    def __call__(self, verb: str, **values: Any) -> dict[str, Any]:
        """The answer to one request; what went wrong inside is raised with the end of the engine's log."""
        log = self.folder / f"{verb}.log"
        log.write_text("")
        print(json.dumps({"verb": verb, "log": str(log), **values}), file=self._ask, flush=True)
        answer: dict[str, Any] = json.loads(self._answers.readline() or '{"error": "the driver is gone"}')
        if "error" in answer:
            raise RuntimeError(f"{answer['error']}\n{log.read_text(errors='replace')[-3000:]}")
        return answer

    def log(self, verb: str) -> str:
        """What the engine logged while it answered last."""
        return (self.folder / f"{verb}.log").read_text(errors="replace")

    def model(self, name: str) -> Path:
        """The folder of a tiny model, made when it is first asked for."""
        folder = self.folder / name
        if not folder.exists():
            self("make", folder=str(folder), config=shapes.config(name))
        return folder

    def config_only(self, name: str, config: dict[str, Any]) -> Path:
        """A folder with nothing but a `config.json`."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        return folder


@contextmanager
def running(folder: Path) -> Iterator[Engine]:
    errors = folder / "driver.log"
    with errors.open("w") as log, subprocess.Popen(
        [f"{vllm_environment()}/bin/python", "-m", "tests.bed.driver"], env={**os.environ, "PYTHONPATH": PROJECT},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder,
    ) as driver:  # fmt: skip
        assert driver.stdin is not None
        assert driver.stdout is not None
        try:
            assert driver.stdout.readline(), errors.read_text()[-3000:]
            yield Engine(folder, driver.stdin, driver.stdout)
        finally:
            driver.stdin.close()
            driver.wait(60)
