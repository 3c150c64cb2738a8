"""Calls that may never return: asked in a thread of their own, given up after a time."""

import _thread
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from provisioner.model.record import dataclass

T = TypeVar("T")
V = TypeVar("V", covariant=True)  # noqa: PLC0105 - one letter, as the other.


@dataclass(frozen=True, slots=True)
class Overdue:
    """The call had not returned in time; its thread is left behind and ends with the process."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Returned(Generic[V]):
    value: V


def call(function: Callable[[], T], seconds: float) -> T | Overdue:
    """The function's value, or `Overdue`."""
    return call_all([function], seconds)[0]


def call_all(functions: Sequence[Callable[[], T]], seconds: float) -> list[T | Overdue]:
    """Every function's value, all asked at once; `seconds` is the time for all of them together."""
    # The plain `_thread` is used because `threading` waits for its threads at the end of the process
    # unless told otherwise, and takes milliseconds to load on a path that must not.
    end = time.monotonic() + seconds
    started = [_start(function) for function in functions]
    return [_await(lock, box, end, seconds) for lock, box in started]


def _start(function: Callable[[], T]) -> tuple[_thread.LockType, list[Returned[T] | BaseException]]:
    lock = _thread.allocate_lock()
    box: list[Returned[T] | BaseException] = []
    lock.acquire()

    def work() -> None:
        try:
            box.append(Returned(function()))
        except BaseException as error:  # noqa: BLE001  It is raised again in the thread that asked.
            box.append(error)
        finally:
            lock.release()

    _thread.start_new_thread(work, ())
    return lock, box


def _await(
    lock: _thread.LockType, box: Sequence[Returned[T] | BaseException], end: float, seconds: float
) -> T | Overdue:
    if not lock.acquire(timeout=max(0.0, end - time.monotonic())):
        return Overdue(seconds)
    outcome = box[0]
    if isinstance(outcome, Returned):
        return outcome.value
    raise outcome
