"""Why an engine did not start, by what it wrote: known words, each with what they mean and what helps."""

from collections.abc import Iterable

from provisioner.model.record import dataclass

LONGEST = 2000
"""Lines are cut here: a log is foreign text, and a line without an end must not take for ever."""


@dataclass(frozen=True, slots=True)
class Cause:
    """`pattern` is a regular expression for one line; of several causes the first in their order is the root of the others."""

    id: str
    pattern: str
    says: str
    fix: str
    line: str
    """As an engine wrote it."""
    source: str
    """Where that line was seen."""


def cause_of(causes: Iterable[Cause], lines: Iterable[str]) -> Cause | None:
    """The first cause that any line tells of."""
    import re  # Only who looks for a reason needs it.

    known = tuple(line[:LONGEST] for line in lines)
    return next((one for one in causes if any(re.search(one.pattern, line) for line in known)), None)
