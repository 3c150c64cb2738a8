"""The program as a process: its words in, its output and exit code out."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

ENTRY = "from provisioner.__main__ import main; raise SystemExit(main())"


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str


def run(
    *words: str, environment: Mapping[str, str] | None = None, flags: tuple[str, ...] = (), timeout: float = 60
) -> Ran:
    """Start it with pipes, so without a terminal; `flags` are the interpreter's."""
    done = subprocess.run(
        [sys.executable, *flags, "-c", ENTRY, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
    )
    return Ran(done.returncode, done.stdout, done.stderr)
