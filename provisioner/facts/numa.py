"""NUMA nodes: their CPUs, memory, and how far they are from each other."""

from provisioner.model.answers import names, pairs, text
from provisioner.model.cpus import from_mask, to_list
from provisioner.model.facts import Answers, Fact, NumaNode, ReadFiles

ROOT = "/sys/devices/system/node"


def parse(answers: Answers) -> tuple[NumaNode, ...]:
    """Nodes in the order of their numbers, which may have holes. A node may lack memory, or CPUs, or both."""
    numbers = sorted(int(name[4:]) for name in names(answers, ROOT) if name[4:].isdecimal())
    return tuple(
        _node(answers, number) for number in numbers if text(answers, f"{ROOT}/node{number}/cpumap") is not None
    )


def _node(answers: Answers, number: int) -> NumaNode:
    folder = f"{ROOT}/node{number}/"
    # Each line reads `Node 0 MemTotal:       65821704 kB`.
    lines = pairs((text(answers, folder + "meminfo") or "").replace(f"Node {number} ", ""), ":")
    return NumaNode(
        node=number,
        cpus=to_list(from_mask(text(answers, folder + "cpumap") or "0")),
        memory_bytes=_bytes(lines.get("MemTotal", "0 kB")),
        free_bytes=_bytes(lines["MemFree"]) if "MemFree" in lines else None,
        distances=tuple(int(word) for word in (text(answers, folder + "distance") or "").split()),
    )


def _bytes(value: str) -> int:
    kib, unit = value.split()
    if unit != "kB":
        raise ValueError(f"memory of a node is in {unit!r}, expected 'kB'")
    return int(kib) * 1024


FACT: Fact[tuple[NumaNode, ...]] = Fact(
    name="numa",
    question=ReadFiles((f"{ROOT}/node*/cpumap", f"{ROOT}/node*/meminfo", f"{ROOT}/node*/distance")),
    parse=parse,
    absent=(),
)
