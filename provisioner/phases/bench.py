"""Measure what is in force through its own endpoint: a fixed set of questions, bounded in count and in time."""

import time
from collections.abc import Callable
from secrets import token_hex

from provisioner.documents import Json
from provisioner.errors import RunFailed
from provisioner.model.baseline import Baseline, Speed
from provisioner.model.facts import Unknown
from provisioner.model.plan import Plan, Service
from provisioner.model.progress import Progress
from provisioner.model.record import dataclass
from provisioner.model.report import Completion
from provisioner.phases.observe import read_key, together
from provisioner.planning.speed.measuring import speed
from provisioner.world import probe

Answers = tuple[Completion, ...]

MOST_AT_ONCE = 32
LONGEST_ANSWER = 128
FIRST_ANSWER = 8
"""Of the request that is not measured."""
LONGEST_QUESTION = 1200
SHARE = 4
"""Question and answer each take at most this part of the context, a letter counted as a token."""
QUESTIONS = (
    "Write down everything that a new colleague needs to know about a library of books, room by room. ",
    "Tell a long story of a ship that sails from one port to the next, and name what it carries each time. ",
    "Explain step by step how bread is baked, from the field to the table, and leave nothing out. ",
    "List as many animals as you can, with a sentence about where each of them lives and what it eats. ",
)
"""Repeated up to the length that is asked: an answer that is as long as it may be is wanted of each."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How often is asked; both halves end when their time is up, with one measurement at least."""

    alone: int
    waves: int
    seconds: float


QUICK = Effort(5, 3, 4.0)
FULL = Effort(15, 8, 45.0)


def bench(plan: Plan, release: str, progress: Progress, *, quick: bool) -> Baseline:
    """How fast the services of a plan are now; an engine that fails while it is asked ends it with the reason."""
    effort = QUICK if quick else FULL
    services = tuple(service for service in plan.services if not service.node)
    progress.step(f"measure {', '.join(one.name for one in services)} (about {2 * effort.seconds:.0f} s at most)")
    try:
        found = _measured(services, effort)
    except RunFailed as error:
        progress.done(f"failed: {error.message}")
        raise
    rates = (found.tokens_per_second, found.total_tokens_per_second)
    progress.done(" and ".join(f"{one.median:,.1f} tokens/s" for one in rates))
    model = plan.model.id if plan.model else ""
    return Baseline(release, model, plan.engine or "", int(time.time()), quick, found)


def _measured(services: tuple[Service, ...], effort: Effort) -> Speed:
    began = time.monotonic()
    for service in services:  # What is made at the first request alone is no part of the speed.
        _asked(service, 0, effort, FIRST_ANSWER)
    alone = _repeated(lambda number: (_asked(services[0], number, effort),), effort.alone, effort.seconds)
    at_once = min(sum(service.slots for service in services), MOST_AT_ONCE)
    spread = tuple(services[place % len(services)] for place in range(at_once))
    waves = _repeated(lambda number: _wave(spread, number, effort), effort.waves, effort.seconds)
    return speed(tuple(one for (one,) in alone), waves, time.monotonic() - began)


def _repeated(ask: Callable[[int], Answers], times: int, seconds: float) -> tuple[Answers, ...]:
    """As often as is wanted, while there is time, and once whatever it takes."""
    deadline = time.monotonic() + seconds
    found = [ask(1)]
    while len(found) < times and time.monotonic() < deadline:
        found.append(ask(len(found) + 1))
    return tuple(found)


def _wave(services: tuple[Service, ...], number: int, effort: Effort) -> Answers:
    """One request of each at the same time; a service that has several slots is named as often."""
    asked = {str(place): _asker(service, number + place, effort) for place, service in enumerate(services)}
    answers = together(asked)
    for answer in answers.values():
        if isinstance(answer, RunFailed):
            raise answer
    return tuple(answer for answer in answers.values() if isinstance(answer, Completion))


def _asker(service: Service, number: int, effort: Effort) -> Callable[[], Completion | RunFailed]:
    """In a thread of its own, where nobody would hear of what is raised."""

    def ask() -> Completion | RunFailed:
        try:
            return _asked(service, number, effort)
        except RunFailed as error:
            return error

    return ask


def _asked(service: Service, number: int, effort: Effort, longest: int = LONGEST_ANSWER) -> Completion:
    """One answer. What takes longer than a fair share of the time is cut off: its tokens until then tell the pace as well."""
    key = read_key(service.key_file)
    if isinstance(key, Unknown):
        raise _failed(service, key.reason)
    first, began = float(service.first_token_seconds), time.monotonic()
    asked: dict[str, Json] = {
        "content": _question(service, number),
        "max_tokens": max(min(longest, service.context // SHARE), 1),
        "temperature": 0,
    }
    answer = probe.stream(service, key, asked, first, first + effort.seconds)
    if isinstance(answer, Unknown):
        raise _failed(service, answer.reason)
    if answer.status != 200:
        raise _failed(service, f"status {answer.status}: {answer.error}")
    if not answer.arrivals:
        raise _failed(service, answer.error or "an answer without a token")
    if answer.error and time.monotonic() - began < effort.seconds:
        raise _failed(service, answer.error)
    return answer


def _question(service: Service, number: int) -> str:
    """One of the set, with a mark at its head: what an engine remembers of earlier questions shall not help it."""
    length = max(min(LONGEST_QUESTION, service.context // SHARE), 1)
    text = QUESTIONS[number % len(QUESTIONS)]
    return f"{token_hex(4)}: {text * (length // len(text) + 1)}"[:length]


def _failed(service: Service, reason: str) -> RunFailed:
    return RunFailed(
        f"{service.name} does not answer while it is measured: {reason}",
        fix="provision check   (what is wrong), provision logs   (the engine's own words)",
    )
