"""The memory of a Mac, and how much of it is not held."""

from collections.abc import Mapping

from provisioner.facts._macos import FOLDERS, MORE, SYSCTL, told
from provisioner.model.answers import pairs, printed
from provisioner.model.facts import Answers, AskTools, CannotAsk, Fact, Memory, Unknown

VM_STAT = "vm_stat"
UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def parse(answers: Answers) -> Memory:
    """What is not held: as Activity Monitor counts "Memory Used", by programs, by the kernel, and by what is compressed."""
    size = pairs(printed(answers, SYSCTL), ":").get("hw.memsize", "")
    if not size.isdecimal() or int(size) == 0:
        raise CannotAsk("sysctl tells no hw.memsize")
    return Memory(
        total_bytes=int(size),
        available_bytes=max(0, int(size) - _used(printed(answers, VM_STAT))),
        swap_bytes=_swap(told(answers, MORE).get("vm.swapusage", "")),
        huge_pages=(),
        transparent_huge_pages=None,
        channels=Unknown("macOS does not tell the channels of its memory"),
        mega_transfers=None,
    )


def _used(vm_stat: str) -> int:
    """App memory, wired memory and the compressor's (eneskirca/nodeterm#135 held it against Activity Monitor); files that
    are kept in memory are given back. Pages are of 16 KiB on Apple's chips, of 4 KiB on Intel's: the first line says it.
    """
    head, _, rest = vm_stat.partition("\n")
    size = head.partition("page size of ")[2].partition(" ")[0]
    if not size.isdecimal():
        raise CannotAsk(f"`{VM_STAT}` tells no page size: {head.strip()[:80]}")
    counts = {name: value.rstrip(".") for name, value in pairs(rest, ":").items()}
    app = max(0, _pages(counts, "Anonymous pages") - _pages(counts, "Pages purgeable"))
    return int(size) * (app + _pages(counts, "Pages wired down") + _pages(counts, "Pages occupied by compressor"))


def _pages(counts: Mapping[str, str], name: str) -> int:
    word = counts.get(name, "")
    if not word.isdecimal():
        raise CannotAsk(f"`{VM_STAT}` tells no `{name}`")
    return int(word)


def _swap(usage: str) -> int:
    """`total = 2048.00M  used = 1158.25M  free = 889.75M  (encrypted)`; the file grows as it is needed."""
    word = usage.partition("total = ")[2].partition(" ")[0]
    number, unit = word[:-1], word[-1:]
    return int(float(number) * (1 << UNITS[unit])) if unit in UNITS and number.replace(".", "", 1).isdecimal() else 0


FACT: Fact[Memory] = Fact(
    "memory", AskTools((SYSCTL, MORE, VM_STAT), FOLDERS), parse, absent=Unknown("sysctl told nothing")
)
