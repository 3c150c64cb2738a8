"""NVSwitch chips: the cards behind them compute together only while the fabric manager runs."""

from provisioner.model.answers import text
from provisioner.model.facts import Answers, Fact, ReadFiles

DEVICES = "/sys/bus/pci/devices/*/"
NVIDIA, BRIDGE = "0x10de", "0x0680"
"""PCI class 0680: a bridge of no other kind; NVIDIA's only ones of it are NVSwitches."""


def parse(answers: Answers) -> int:
    folders = (path.removesuffix("/class") for path in answers if path.endswith("/class"))
    return sum(
        (text(answers, f"{folder}/class") or "").startswith(BRIDGE) and text(answers, f"{folder}/vendor") == NVIDIA
        for folder in folders
    )


FACT: Fact[int] = Fact("nvswitch", ReadFiles((f"{DEVICES}class", f"{DEVICES}vendor")), parse, absent=0)
