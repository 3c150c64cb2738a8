"""Control groups that a container engine inside a lab host leaves on the machine below it."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def none_left() -> Iterator[None]:
    """It mounts the hierarchies that nobody has mounted yet, they outlive it, and with them the machine's own container engine
    no longer hears that a container had too little memory.
    """
    before = hierarchies()
    try:
        yield
    finally:
        for controllers in hierarchies() - before:
            _take_away(controllers)


def hierarchies() -> frozenset[str]:
    """Each with its controllers, as `mount` takes them."""
    found: dict[str, list[str]] = {}
    for line in Path("/proc/cgroups").read_text().splitlines()[1:]:
        controller, number, *_ = line.split()
        if number != "0":
            found.setdefault(number, []).append(controller)
    return frozenset(",".join(controllers) for controllers in found.values())


def _take_away(controllers: str) -> None:
    """The kernel lets go of one without groups when it is unmounted, if the groups have quite gone by then."""
    deadline = time.monotonic() + 30
    while controllers in hierarchies():
        assert time.monotonic() < deadline, f"the hierarchy of {controllers} stays"
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["mount", "-t", "cgroup", "-o", controllers, "none", folder], check=True)
            for path, _, _ in os.walk(folder, topdown=False):
                if path != folder:
                    os.rmdir(path)
            subprocess.run(["umount", folder], check=True)
        time.sleep(0.2)
