"""Whether systemd runs this machine, and whether one runs for this user."""

import json

from provisioner.model.facts import Answers, AskKernel, Fact, ReadFiles, Unknown

RUNNING = "/run/systemd/system"


def parse(answers: Answers) -> str:
    """`running`: the folder that systemd itself says to look for (sd_booted(3)). Its version is in no text file."""
    return "running" if RUNNING in answers else ""


def parse_user(answers: Answers) -> bool:
    answer = answers["user"]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    found = json.loads(answer)
    return isinstance(found, dict) and found.get("manager") is True


FACT: Fact[str | None] = Fact("systemd", ReadFiles((RUNNING,)), parse, absent=None)
USER: Fact[bool] = Fact("systemd_user", AskKernel(("user",)), parse_user, absent=False)
