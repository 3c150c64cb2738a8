"""Signs of accelerators that no bus gives: the operating system itself, and device nodes handed into a container."""

import json

from provisioner.model.facts import Answers, AskKernel, Fact, Unknown
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Presence:
    system: str
    nodes: tuple[str, ...]
    """Names in /dev."""


def parse(answers: Answers) -> Presence:
    answer = answers["nodes"]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    found = json.loads(answer)
    names = found.get("names") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(names, list):
        raise ValueError("expected an object")
    return Presence(str(found.get("system")), tuple(map(str, names)))


FACT: Fact[Presence] = Fact("presence", AskKernel(("nodes",)), parse, absent=Presence("", ()))
