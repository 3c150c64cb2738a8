"""Whether the firmware starts only signed kernels: unsigned drivers are refused then."""

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown

VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""The name is fixed by the UEFI specification: it identifies the variable, not the machine."""
FIRMWARE = "/sys/firmware/efi"


def parse(answers: Answers) -> bool:
    """Four bytes of attributes, then one of value; a machine without UEFI cannot have it."""
    answer = answers.get(VARIABLE)
    if answer is None:
        raise ValueError("UEFI does not show the SecureBoot variable")
    if isinstance(answer, Unknown) or len(answer) < 5:
        raise ValueError(answer.reason if isinstance(answer, Unknown) else "the SecureBoot variable is too short")
    return answer[4] == "\x01"


FACT: Fact[bool | None] = Fact("secure_boot", ReadFiles((VARIABLE, FIRMWARE)), parse, absent=None)
