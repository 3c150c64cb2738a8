"""Installed memory: size, what is available, huge pages, channels and speed where the machine tells them."""

import json

from provisioner.model.answers import names, number, pairs, text
from provisioner.model.facts import Answers, AskAll, AskKernel, Fact, HugePages, Memory, ReadFiles, Unknown

HUGE = "/sys/kernel/mm/hugepages"
EDAC = "/sys/devices/system/edac/mc"
TRANSPARENT = "/sys/kernel/mm/transparent_hugepage/enabled"


def parse(answers: Answers) -> Memory:
    """Sizes from /proc/meminfo; kernels before 3.14 do not tell what is available, there it is estimated."""
    meminfo = text(answers, "/proc/meminfo")
    if meminfo is None:
        raise ValueError("/proc/meminfo is not there")
    lines = pairs(meminfo, ":")
    estimate = sum(_bytes(lines[name]) for name in ("MemFree", "Buffers", "Cached") if name in lines)
    return Memory(
        total_bytes=_bytes(lines["MemTotal"]),
        available_bytes=_bytes(lines["MemAvailable"]) if "MemAvailable" in lines else estimate,
        swap_bytes=_bytes(lines.get("SwapTotal", "0 kB")),
        huge_pages=tuple(page for name in names(answers, HUGE) if (page := _huge(answers, name))),
        transparent_huge_pages=_chosen(text(answers, TRANSPARENT)),
        channels=_channels(answers),
        mega_transfers=min(_speeds(answers), default=None),
    )


def _bytes(value: str) -> int:
    kib, unit = value.split()
    if unit != "kB":
        raise ValueError(f"/proc/meminfo is in {unit!r}, expected 'kB'")
    return int(kib) * 1024


def _huge(answers: Answers, name: str) -> HugePages | None:
    """`hugepages-2048kB`."""
    size = name.removeprefix("hugepages-").removesuffix("kB")
    total = number(answers, f"{HUGE}/{name}/nr_hugepages")
    if not size.isdecimal() or total is None:
        return None
    return HugePages(int(size) * 1024, total, number(answers, f"{HUGE}/{name}/free_hugepages") or 0)


def _chosen(line: str | None) -> str | None:
    """`always [madvise] never`."""
    return (line or "").partition("[")[2].partition("]")[0] or None


def _channels(answers: Answers) -> int | Unknown:
    """Channels that hold a module: from the memory controllers' driver, else from the firmware's table."""
    filled = {place for place in _places(answers) if place}
    if filled:
        return len(filled)
    modules = _modules(answers)
    if isinstance(modules, Unknown):
        return Unknown(f"no EDAC driver shows the memory controllers, and the firmware's table: {modules.reason}")
    banks = {(str(module.get("bank")), _channel_of(str(module.get("locator")))) for module in modules}
    return len(banks) or Unknown("the firmware's table lists no memory module")


def _places(answers: Answers) -> list[tuple[str, str] | None]:
    """Controller and channel of each module; `dimm_location` reads `channel 0 slot 1` or `memory 3`."""
    places: list[tuple[str, str] | None] = []
    for key in answers:
        if key.startswith(EDAC) and key.endswith("/dimm_location"):
            controller, module = key[len(EDAC) + 1 :].split("/")[:2]
            words = (text(answers, key) or "").split()
            size = number(answers, f"{EDAC}/{controller}/{module}/size")
            named = words[words.index("channel") + 1] if "channel" in words[:-1] else " ".join(words)
            places.append((controller, named) if size else None)
    return places


def _channel_of(locator: str) -> str:
    """`DIMM_A1`, `P0 CHANNEL A`, `ChannelA-DIMM0`: the letter of the channel, or the whole name."""
    for mark in ("CHANNEL ", "CHANNEL", "DIMM_"):
        _, found, rest = locator.upper().partition(mark)
        if found and rest[:1].isalpha():
            return locator.upper().partition(mark)[0] + rest[:1]
    return locator


def _modules(answers: Answers) -> list[dict[str, object]] | Unknown:
    answer = answers.get("memory_devices", Unknown("was not asked"))
    if isinstance(answer, Unknown):
        return answer
    found = json.loads(answer)
    return [module for module in found if isinstance(module, dict)] if isinstance(found, list) else []


def _speeds(answers: Answers) -> list[int]:
    modules = _modules(answers)
    if isinstance(modules, Unknown):
        return []
    return [speed for module in modules if isinstance(speed := module.get("mega_transfers"), int) and speed > 0]


FACT: Fact[Memory] = Fact(
    name="memory",
    question=AskAll((
        ReadFiles((
            "/proc/meminfo",
            f"{HUGE}/hugepages-*/nr_hugepages",
            f"{HUGE}/hugepages-*/free_hugepages",
            TRANSPARENT,
            f"{EDAC}/mc*/dimm*/dimm_location",
            f"{EDAC}/mc*/dimm*/size",
        )),
        AskKernel(("memory_devices",)),
    )),
    parse=parse,
    absent=Unknown("/proc/meminfo is not there"),
)  # fmt: skip
