"""How long the program takes to start, as multiples of a bare Python of the same environment.

All commands run interleaved in the same rounds, so that a busy machine slows them alike; the medians of processor time
are compared, and the wall clock is shown beside them. Nothing fails here: the tests hold the lists of imported modules.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from provisioner.commands import COMMANDS

HARDWARE = "1x RTX 4090, 16 cores, 64 GiB"


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    argv: tuple[str, ...]
    limit: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    cpu_ms: float
    wall_ms: float
    code: int


def cases(program: Sequence[str], state: str) -> list[Case]:
    """The bare interpreter first; limits are multiples of it."""

    def ours(limit: float, *words: str) -> Case:
        return Case(f"provision {' '.join(words)}", (*program, *words), limit)

    return [
        Case("python -c pass", (sys.executable, "-c", "pass"), None),
        ours(1.2, "--version"),
        ours(2.0, "--help"),
        *(ours(7.0, name, "--help") for name in COMMANDS),
        ours(7.0, "completion", "bash"),
        ours(7.0, "plan", "--no-such-option"),
        ours(7.0, "status", "--state-dir", state),
        ours(7.0, "detect", "--json"),
        ours(10.0, "plan", "--hardware", HARDWARE, "--json", "--state-dir", state),
    ]


def environment() -> dict[str, str]:
    """Ours, with bytecode kept as an installation keeps it; the first round, which writes it, is not counted."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONDONTWRITEBYTECODE", "PYTHONPATH")}


def measure(case: Case) -> Sample:
    """One run: its processor time, by the kernel's count of what the children used."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        case.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=environment()
    )
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Sample(cpu * 1000, wall * 1000, done.returncode)


def row(case: Case, samples: list[Sample], bare: tuple[float, float]) -> str:
    cpu, wall = (statistics.median(values) for values in ([s.cpu_ms for s in samples], [s.wall_ms for s in samples]))
    ratio = cpu / bare[0]
    verdict = "" if case.limit is None else "PASS" if ratio <= case.limit else "over"
    limit = "" if case.limit is None else f"{case.limit:.1f}"
    codes = ",".join(sorted({str(sample.code) for sample in samples}))
    return f"{case.name[:64]:<64} {cpu:>8.1f} {wall:>8.1f} {ratio:>7.2f} {wall / bare[1]:>7.2f} {limit:>6} {verdict:>5} {codes:>5}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    installed = os.path.join(os.path.dirname(sys.executable), "provision")
    parser.add_argument("--program", default=installed, help="the installed script; this environment's unless given")
    arguments = parser.parse_args()
    program = [arguments.program]
    with tempfile.TemporaryDirectory() as state:
        wanted = cases(program, state)
        samples: dict[str, list[Sample]] = {case.name: [] for case in wanted}
        for counted in range(max(arguments.rounds, 1) + 1):
            for case in wanted:
                sample = measure(case)
                if counted:
                    samples[case.name].append(sample)
    bare = samples[wanted[0].name]
    base = (statistics.median(s.cpu_ms for s in bare), statistics.median(s.wall_ms for s in bare))
    print(f"medians of {arguments.rounds} interleaved rounds; the ratio of processor time is held against the limit\n")
    print(f"{'command':<64} {'CPU ms':>8} {'wall ms':>8} {'× CPU':>7} {'× wall':>7} {'limit':>6} {'':>5} {'code':>5}")
    for case in wanted:
        print(row(case, samples[case.name], base))


if __name__ == "__main__":
    main()
