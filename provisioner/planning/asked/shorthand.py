"""A machine described in one line: `8x RTX 4090, 2 sockets, 128 cores, 512 GiB, 2 nodes, nvlink=no`."""

from provisioner.catalog import Catalog, nearest
from provisioner.errors import BadInput
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.facts import (
    HostFacts,
)
from provisioner.model.record import replace
from provisioner.planning.asked.amounts import GIB
from provisioner.planning.asked.counting import NODES, Counted, counted
from provisioner.planning.asked.described import Said, facts_of
from provisioner.planning.asked.devices import named, plain
from provisioner.planning.asked.dimms import heard

EXAMPLE = '`--hardware "2x RTX 4090, 2 sockets, 64 cores, 256 GiB DDR5-4800, 8 channels per socket, nvlink=no"`'

MOST = {"sockets": 64, "cores": 8192, "threads": 8192, "nodes": 10_000}
MOST_CARDS = 64
MOST_BYTES = 1 << 50
"""Above what any machine has: a larger number is a slip of the hand, and would be planned for in earnest."""


def machine_from_text(text: str, catalog: Catalog) -> HostFacts:
    """The machine that this line describes; `BadInput` names the part that was not understood."""
    said = Said()
    for part in (part.strip() for part in text.replace(";", ",").split(",")):
        if part:
            said = hear(said, part, catalog)
    if said == Said():
        raise BadInput(f"`{text}` describes no machine", fix=EXAMPLE)
    return facts_of(said)


def hear(said: Said, part: str, catalog: Catalog) -> Said:
    """What one part of the line adds to what was said before."""
    words = part.lower()
    if "=" in words:
        return _hear_setting(said, part)
    if words in ("no gpu", "no gpus", "no accelerator", "cpu only", "0 gpus"):
        return replace(said, no_cards=True)
    dimms, rest = heard(said.dimms, words)
    if rest != words:
        said = replace(said, dimms=dimms)
        return hear(said, rest, catalog) if rest else said
    number, unit = _number_and_unit(words)
    field = UNITS.get(unit)
    if number is not None and field is not None:
        if not 1 <= number <= MOST[field] or number != int(number):
            raise BadInput(f"--hardware: `{part[:40]}`: expected a whole number from 1 to {MOST[field]}", fix=EXAMPLE)
        return _counted(said, field, int(number))
    factor = _memory_factor(unit)
    if number is not None and factor is not None:
        if not 0 < number * factor <= MOST_BYTES:
            raise BadInput(f"--hardware: `{part[:40]}`: no machine has that much or that little", fix=EXAMPLE)
        count = int(number * factor)
        if any(word in unit for word in ("disk", "ssd", "nvme")):
            return replace(said, disk_bytes=count)
        return replace(said, memory_bytes=count)
    found = counted(part)
    said = said if found.nodes is None else hear(said, f"{found.nodes} nodes", catalog)
    return replace(said, cards=(*said.cards, _cards(part, found, catalog)))


UNITS = {
    "socket": "sockets", "sockets": "sockets", "cpu": "sockets", "cpus": "sockets",
    "core": "cores", "cores": "cores", "thread": "threads", "threads": "threads",
    **dict.fromkeys(NODES, "nodes"),
}  # fmt: skip

MEMORY = {"gib": GIB, "gb": GIB, "g": GIB, "tib": 1 << 40, "tb": 1 << 40, "t": 1 << 40, "mib": 1 << 20}
"""People say GB of memory and mean GiB."""


def _counted(said: Said, field: str, count: int) -> Said:
    known = {
        "sockets": replace(said, sockets=count), "cores": replace(said, cores=count),
        "threads": replace(said, threads=count), "nodes": replace(said, nodes=count),
    }  # fmt: skip
    return known[field]


def _memory_factor(unit: str) -> int | None:
    first, *rest = unit.split() or [""]
    allowed = {"ram", "memory", "disk", "ssd", "nvme", "free", "of"}
    return MEMORY.get(first) if set(rest) <= allowed else None


def _number_and_unit(words: str) -> tuple[float | None, str]:
    digits = 0
    while digits < len(words) and words[digits] in "0123456789.":
        digits += 1
    try:
        return float(words[:digits]), words[digits:].strip()
    except ValueError:
        return None, words


def _hear_setting(said: Said, part: str) -> Said:
    key, _, value = (word.strip().lower() for word in part.partition("="))
    if key != "nvlink" or value not in ("yes", "no"):
        raise BadInput(f"--hardware: `{part}` was not understood", fix="`nvlink=yes` or `nvlink=no`")
    return replace(said, nvlink=value == "yes")


def _cards(part: str, words: Counted, catalog: Catalog) -> tuple[AcceleratorEntry, int]:
    count, name = words.count, words.name
    found = [catalog.accelerator(key) for key in named(catalog, name)]
    if not found:
        near = _near(name, catalog)
        raise BadInput(f"--hardware: `{name[:40]}` is no known accelerator",
                       fix=f"did you mean {' or '.join(f'`{word}`' for word in near)}?")  # fmt: skip
    if len(found) > 1 and len({(entry.name, entry.memory_bytes) for entry in found}) > 1:
        found = _plainest(found, name)
    if not 1 <= count <= MOST_CARDS:
        raise BadInput(f"--hardware: `{part[:40]}`: expected a count from 1 to {MOST_CARDS}", fix=EXAMPLE)
    if found[0].shares_host_memory and count > 1:
        raise BadInput(f"--hardware: `{part[:40]}`: this one shares the memory of its machine, and is alone there",
                       fix=f'`--hardware "1x {name}, {count} nodes"`')  # fmt: skip
    return found[0], count


def _plainest(found: list[AcceleratorEntry], name: str) -> list[AcceleratorEntry]:
    """Of several that the words fit, the one whose driver name they are; else the person has to say which."""
    exact = [entry for entry in found if plain(entry.name).endswith(plain(name)) and not entry.id.endswith("mod")]
    if len(exact) == 1:
        return exact
    raise BadInput(f"--hardware: `{name}` may be {', '.join(entry.id for entry in found)}", fix="name one of them")


def _near(name: str, catalog: Catalog) -> tuple[str, ...]:
    near = nearest(name.replace(" ", ""), (*catalog.accelerators, *UNITS, "channels"))
    return near or tuple(catalog.accelerators)[:3]
