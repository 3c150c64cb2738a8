"""What several facts of a Mac have in common: it has neither /proc nor /sys, and programs of its own are asked."""

from collections.abc import Mapping

from provisioner.model.answers import pairs
from provisioner.model.facts import Answers, Unknown

FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
SYSCTL = "sysctl hw machdep.cpu"
"""All below these names, as people publish it: a recording holds what a later release may ask for."""
MORE = "sysctl -i hw.model vm.swapusage kern.hv_vmm_present kern.bootsessionuuid"
"""`-i` passes over names that this system does not know; without it one of them fails the whole command (spack/spack#22088)."""
NO_GROUPS = Unknown("macOS has no control groups, and each shell sets for itself how many files may be open")
"""What stands for a process's limits."""


def _printed_or_empty(answers: Answers, command: str) -> str:
    output = answers.get(command)
    return output if isinstance(output, str) else ""


def told(answers: Answers, command: str) -> Mapping[str, str]:
    return {name: value for name, value in pairs(_printed_or_empty(answers, command), ":").items() if value}
