"""NVIDIA's kernel driver, by the file it shows while it is loaded."""

from provisioner.model.answers import text
from provisioner.model.facts import Answers, Fact, ReadFiles

PLACE = "/proc/driver/nvidia/version"


def parse(answers: Answers) -> str:
    """`NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 …`, or `… Open Kernel Module for …`."""
    words = (text(answers, PLACE) or "").split("\n", 1)[0].split()
    version = next(
        (word for word in words if word[0].isdecimal() and word.count(".") in (1, 2) and ":" not in word), None
    )
    if version is None:
        raise ValueError("no version in the first line")
    return version


FACT: Fact[str | None] = Fact("nvidia_driver", ReadFiles((PLACE,)), parse, absent=None)
