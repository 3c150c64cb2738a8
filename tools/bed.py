"""What every part of the test bed needs: where it is kept, how a step is run, and how one fails."""

import hashlib
import os
import subprocess
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.environ.get("PROVISION_TESTBED", os.path.expanduser("~/.cache/provision-testbed"))


class NotHad(Exception):
    """A component could not be brought up; the message says why."""


def key(*recipe: str) -> str:
    """The part of a name that changes with what a thing is made from."""
    return hashlib.sha256("\0".join(recipe).encode()).hexdigest()[:16]


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(command: list[str], env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )


def check(command: list[str]) -> str:
    result = run(command)
    if result.returncode:
        raise NotHad(f"`{' '.join(command[:3])} …` failed: {last_line(result.stderr) or last_line(result.stdout)}")
    return result.stdout.strip()


def retry(command: list[str], env: dict[str, str] | None = None, attempts: int = 3) -> None:
    """Ask a mirror again when it fails; they do so for seconds at a time."""
    for attempt in range(1, attempts + 1):
        result = run(command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", **(env or {})})
        if result.returncode == 0:
            return
        if attempt < attempts:
            time.sleep(5 * attempt)
    raise NotHad(f"`{' '.join(command)}` failed: {last_line(result.stderr)}")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
