"""Whether /dev/char shows NVIDIA's devices: where it does not, a reload of systemd takes them from running containers."""

from provisioner.model.facts import Answers, Fact, ReadFiles

LINKS = "/dev/char/195:*"
"""195 is the major number of NVIDIA's devices (Linux, Documentation/admin-guide/devices.txt)."""


def parse(answers: Answers) -> bool:
    return bool(answers)


FACT: Fact[bool] = Fact("device_links", ReadFiles((), (LINKS,)), parse, absent=False)
