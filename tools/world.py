"""Bring up the real components that the end-to-end tests drive, once, and say what could not be had.

What takes time to make is kept in `~/.cache/provision-testbed` under a name made from its recipe, so that a second run, or
a machine that got the folder from an earlier one, only starts it. `docs/testing.md` tells what each component is for.
"""

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from tools import docker, golang, images, machines, pyimages, registry
from tools.bed import CACHE, NotHad, retry
from tools.bootstrap import SetupError
from tools.engines import bring_vllm

PACKAGES = {
    "strace": "strace",
    "lscpu": "util-linux",
    "debootstrap": "debootstrap",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-registry": "docker-registry",
    "iptables": "iptables",
    "chromium": "chromium",
    "numactl": "numactl",
    "g++": "g++",
    "readelf": "binutils",
    "/usr/include/nlohmann": "nlohmann-json3-dev",
    "/usr/include/stb": "libstb-dev",
}
"""Which Debian package brings which program or folder."""


def components() -> dict[str, tuple[tuple[str, ...], Callable[[], str]]]:
    """Each of them, what it is made with, and how: those that it needs stand above it."""
    on_fresh = ("registry", "fresh machine")
    on_python = ("vllm", "image python")
    return {
        "programs": ((), _bring_programs),
        "vllm": ((), bring_vllm),
        "docker": (("programs",), docker.bring),
        "registry": (("programs",), registry.bring),
        "compose": (("docker",), golang.bring_compose),
        "ollama": (("programs",), golang.bring_ollama),
        "fresh machine": (("docker",), machines.bring_fresh),
        "lab host": (("fresh machine",), machines.bring_lab),
        **{
            f"image {name}": ((*on_fresh, *(("ollama",) if name == "ollama" else ())), partial(images.bring, name))
            for name in images.BUILT
        },
        "image vllm": (on_python, pyimages.bring_vllm_image),
        "image openwebui": (on_python, pyimages.bring_openwebui_image),
    }


def main() -> int:
    os.makedirs(CACHE, exist_ok=True)
    with open(f"{CACHE}/.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # A second run waits here, and finds the work done.
        return 0 if all(_bring_all()) else 1


def _bring_all() -> list[bool]:
    """Each begins when those that it needs are there; most of the time is spent in waiting for packages."""
    wanted = components()
    begun: dict[str, Future[bool]] = {}
    with ThreadPoolExecutor(len(wanted)) as each:
        for name, (needs, bring) in wanted.items():
            begun[name] = each.submit(_brought, name, {need: begun[need] for need in needs}, bring)
    return [one.result() for one in begun.values()]


def _brought(name: str, needs: Mapping[str, "Future[bool]"], bring: Callable[[], str]) -> bool:
    without = [need for need, one in needs.items() if not one.result()]
    start = time.monotonic()
    try:
        if without:
            raise NotHad(f"it needs {', '.join(without)}")
        what, had = bring(), True
    except (NotHad, SetupError, OSError) as error:
        what, had = f"not to be had: {error}", False
    print(f"{name:20} {what} ({time.monotonic() - start:.1f} s)", flush=True)
    return had


def _bring_programs() -> str:
    missing = sorted(
        {package for path, package in PACKAGES.items() if not shutil.which(path) and not os.path.isdir(path)}
    )
    if missing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise NotHad(f"{', '.join(missing)}: install them, or run this as root on Debian or Ubuntu")
        retry(["apt-get", "-qq", "update"])
        retry(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing])
    return ", ".join(sorted(set(PACKAGES.values())))


if __name__ == "__main__":
    sys.exit(main())
