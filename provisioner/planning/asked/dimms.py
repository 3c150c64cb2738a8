"""How people say what a host's memory is made of: `768 GiB DDR5-4800`, `12x 64 GB`, `12 channels per socket`, `4800 MT/s`."""

import re

from provisioner.errors import BadInput
from provisioner.model.facts import Memory
from provisioner.model.record import dataclass, replace

SPEED = re.compile(
    r"\b(?:lp)?ddr\d[xl]?(?:[ -]?(\d{3,5})(?! ?[gtm]i?b|\d)(?: ?(?:mt/s|mhz)\b)?)?(?![\w-])|\b(\d{1,6}) ?mt/s\b"
)
"""`DDR5 512 GiB` says an amount, and `DDR5` alone says nothing that is reckoned with."""
CHANNELS = re.compile(
    r"\b(\d{1,6})[ -]?channels?\b(?P<each>(?: per| a) ?(?:socket|cpu)\b| each\b| ?/ ?(?:socket|cpu)\b)?"
)
STICKS = re.compile(r"(\d{1,6}) ?[x×] ?(\d{1,6}) ?(gib|gb|g)")
BETWEEN = re.compile(r"\b(of|at|with|and|in|ram|memory|r?dimms?|ecc)\b")

MOST_CHANNELS, SPEEDS = 256, range(400, 20_001)
"""What is outside is a slip of the hand."""


@dataclass(frozen=True, slots=True)
class Dimms:
    """None for what is left out."""

    channels: int | None = None
    per_socket: bool = False
    mega_transfers: int | None = None


def heard(dimms: Dimms, words: str) -> tuple[Dimms, str]:
    """What a part of the line adds, and what of the part says something else; all of it where nothing was understood."""
    speed, channels = SPEED.search(words), CHANNELS.search(words)
    rest = " ".join(BETWEEN.sub(" ", CHANNELS.sub(" ", SPEED.sub(" ", words))).split())
    if speed and (said := speed[1] or speed[2]):
        dimms = replace(dimms, mega_transfers=_within(int(said), SPEEDS, "MT/s"))
    if channels:
        count = _within(int(channels[1]), range(1, MOST_CHANNELS + 1), "channels of memory")
        dimms = replace(dimms, channels=count, per_socket=bool(channels["each"]))
    if sticks := STICKS.fullmatch(rest):
        return dimms, f"{int(sticks[1]) * int(sticks[2])} {sticks[3]}"
    return dimms, rest if speed or channels else words


def _within(number: int, allowed: range, what: str) -> int:
    if number not in allowed:
        raise BadInput(f"no machine has {number} {what}", fix=f"{allowed[0]} to {allowed[-1]} {what}")
    return number


def made_of(memory: Memory, dimms: Dimms, sockets: int) -> Memory:
    """The memory with what was said of it."""
    if dimms.channels is not None:
        memory = replace(memory, channels=dimms.channels * (sockets if dimms.per_socket else 1))
    return memory if dimms.mega_transfers is None else replace(memory, mega_transfers=dimms.mega_transfers)
