"""The time, and whether it is kept in step: signatures and certificates fail on a clock that is wrong."""

import json

from provisioner.model.facts import Answers, AskKernel, Fact, ReadFiles, Unknown

SYNCHRONISED = "/run/systemd/timesync/synchronized"
SERVICE = "/run/systemd/timesync"


def parse(answers: Answers) -> int:
    answer = answers["clock"]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    found = json.loads(answer)
    unix = found.get("unix") if isinstance(found, dict) else None
    if not isinstance(unix, int):
        raise ValueError(f"the clock says {unix!r}")
    return unix


def parse_synchronised(answers: Answers) -> bool:
    """Systemd's time service leaves a file when it has set the clock once since the start."""
    return SYNCHRONISED in answers


FACT: Fact[int | Unknown] = Fact("clock_unix", AskKernel(("clock",)), parse, absent=Unknown("the clock gave no answer"))
IN_STEP: Fact[bool | None] = Fact(
    name="clock_synchronised",
    question=ReadFiles((SYNCHRONISED, SERVICE)),
    parse=parse_synchronised,
    absent=Unknown("systemd-timesyncd does not run here, and no other time service tells by a file"),
)
