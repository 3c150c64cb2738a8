"""Power cuts: the operations of one recorded run, the moments between them, and what is left of it then."""

import os

from tests.sweep import disk
from tests.sweep.slot import Slot


def recorded(slot: Slot, words: list[str], blow: str = "") -> list[disk.Op]:
    trace = f"{slot.folder}/trace"
    done = disk.record(words, trace, blow)
    assert done.returncode == 0, done.stderr
    operations = list(disk.operations(trace))
    os.unlink(trace)
    return operations


def left_after(slot: Slot, ground: str, operations: list[disk.Op], names: str) -> None:
    """Put into the state folder what a power cut after these operations leaves."""
    model = disk.Disk(slot.state)
    if os.path.isdir(ground):
        model.load(ground)
    for operation in operations:
        model.play(operation)
    slot.clear()
    model.after_power_cut(slot.state, names)


def cuts(slot: Slot, ground: str, operations: list[disk.Op]) -> list[int]:
    """After each operation that changed or synced this disk; of long runs of writes to one file, the last."""
    model = disk.Disk(slot.state)
    if os.path.isdir(ground):
        model.load(ground)
    touched = [(number, operation.call) for number, operation in enumerate(operations) if model.play(operation)]
    return [
        number + 1
        for (number, call), following in zip(touched, [*touched[1:], (0, "")], strict=True)
        if not (call in ("write", "pwrite64") and following[1] == call)
    ]
