"""How much of what could be tried is tried: a share that changes from commit to commit, or with `PROVISION_THOROUGH=yes` all of it.

The whole of the sweeps takes an hour of two cores. Each commit strikes another share of the same points, so that a few
commits strike them all; a failure names the point, and the thorough run finds it on any commit.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

THOROUGH = os.environ.get("PROVISION_THOROUGH") == "yes"

T = TypeVar("T")


def share(points: Sequence[T], parts: int) -> list[T]:
    """Every point of a thorough run, else one in `parts` of them, evenly spread."""
    return list(points) if THOROUGH else list(points[_turn() % parts :: parts])


def examples(all_of_them: int) -> int:
    """How many examples a slow property is held against."""
    return all_of_them if THOROUGH else max(1, all_of_them // 4)


def _turn() -> int:
    """A number that changes with the commit; 0 where this is no checkout."""
    asked = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return int(asked.stdout.strip()[:8] or "0", 16)
