"""How much faster several workers hash the parts of a model than one does, in the same run on the same files.

The files lie in the page cache, so that processors are compared and not disks; with one processor the ratio is 1.
"""

import argparse
import os
import statistics
import tempfile
import time

from provisioner.world.intake import WORKERS, digests


def seconds(paths: tuple[str, ...], workers: int) -> float:
    began = time.perf_counter()
    assert len(list(digests(paths, lambda _done, _total: None, workers))) == len(paths)
    return time.perf_counter() - began


def make(folder: str, files: int, mebibytes: int) -> tuple[str, ...]:
    """Parts with something in them; reading them once warms the cache."""
    paths = tuple(f"{folder}/part-{number}.gguf" for number in range(files))
    for path in paths:
        with open(path, "wb") as file:
            file.writelines(os.urandom(1 << 20) for _ in range(mebibytes))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--mebibytes", type=int, default=128, help="of each file")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = make(folder, given.files, given.mebibytes)
        seconds(paths, 1)
        rounds = [(seconds(paths, 1), seconds(paths, WORKERS)) for _ in range(given.rounds)]
    alone, together = (statistics.median(times) for times in zip(*rounds, strict=True))
    size = given.files * given.mebibytes / 1024
    print(
        f"{given.files} files, {size:.1f} GiB, {len(os.sched_getaffinity(0))} processors, {given.rounds} rounds, medians"
    )
    print(f"1 worker    {alone:6.2f} s  {size / alone:6.2f} GiB/s")
    print(f"{WORKERS} workers   {together:6.2f} s  {size / together:6.2f} GiB/s  {alone / together:.2f} times as fast")


if __name__ == "__main__":
    main()
