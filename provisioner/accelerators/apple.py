"""Apple's chips: one GPU that shares the memory of the machine, and may take a part of it."""

from provisioner.accelerators._reading import BARE, told, whole, why
from provisioner.model.answers import pairs
from provisioner.model.facts import DARWIN, Accelerator, Answers, AskTools, CannotAsk, Fact, Unknown
from provisioner.model.plugins import Vendor
from provisioner.model.record import replace

CHIP, LIMIT = "sysctl hw.memsize machdep.cpu.brand_string", "sysctl iogpu.wired_limit_mb"
"""Apart, because the second is not there before macOS 14, and one unknown name fails the whole command."""
LARGE = 36 << 30
"""Machines from here on give three quarters to the GPU, smaller ones two thirds: llama.cpp's logs of
`recommendedMaxWorkingSetSize` say 22906.50 MB of 32 GiB and 28991.03 MB of 36 GiB."""


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    """One GPU; none on a Mac with a processor of Intel's, whose card no engine here uses."""
    found = pairs(told(answers, CHIP), ":")
    name, installed = found.get("machdep.cpu.brand_string", ""), whole(found.get("hw.memsize"))
    if not name:
        raise CannotAsk(why(answers, CHIP))
    if not name.startswith("Apple"):
        return ()
    nothing = Unknown("macOS does not tell it to other programs")
    return (
        replace(
            BARE,
            vendor="apple",
            name=name,
            memory_bytes=Unknown("sysctl tells no hw.memsize") if installed is None else _limit(answers, installed),
            free_bytes=nothing,
            processes=nothing,
            shares_host_memory=True,
        ),
    )


def _limit(answers: Answers, installed: int) -> int:
    """What the GPU may have: as the administrator set it, else the system's rule."""
    asked = whole(pairs(told(answers, LIMIT), ":").get("iogpu.wired_limit_mb"))
    return min(installed, asked << 20) if asked else share(installed)


def share(installed: int) -> int:
    """The system's rule, in its older and smaller form: newer systems give 11.84 of 16 GiB (AlexsJones/llmfit#754) and 107.5 of 128
    (antirez/ds4#893).
    """
    return installed * 3 // 4 if installed >= LARGE else installed * 2 // 3


VENDOR = Vendor(
    name="apple",
    pci_vendor_ids=(),
    probe=Fact("accelerators.apple", AskTools((CHIP, LIMIT), ("/usr/sbin",)), parse, absent=()),
    visible_devices="",
    system=DARWIN,
    host_share=share,
)
