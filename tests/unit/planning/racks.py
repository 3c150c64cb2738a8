"""Accelerators of machines that are common and are not recorded yet: names and sizes are those of the catalog."""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise

from provisioner.model.catalog import Geometry
from provisioner.model.facts import Accelerator, Link, Mig, Unknown
from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.planning.machine.layouts import Layout, Site, layouts

MIB, GIB = 1 << 20, 1 << 30
RTX_4090, RTX_3090 = ("NVIDIA GeForce RTX 4090", 24564, "8.9"), ("NVIDIA GeForce RTX 3090", 24576, "8.6")
H20, L40S = ("NVIDIA H20", 97871, "9.0"), ("NVIDIA L40S", 46068, "8.9")

DENSE = Geometry("gqa", layers=80, kv_layers=80, heads=64, kv_heads=8)
LATENT = Geometry("mla", layers=61, kv_layers=61, heads=128, kv_heads=128, kv_lora_rank=512, experts=256)

Hops = Callable[[int, int], str]


def link(to: int, hops: str) -> Link:
    lanes = int(hops[2:] or 1) if hops.startswith("NV") else None
    return Link(to, "nvlink" if lanes else "pcie", hops, lanes, None)


def card(index: int, model: tuple[str, int, str] = RTX_4090, node: int | None = 0) -> Accelerator:
    name, mib, capability = model
    return Accelerator(
        vendor="nvidia", name=name, uuid=f"GPU-{index}", index=index, memory_bytes=mib * MIB,
        free_bytes=(mib - 512) * MIB, compute_capability=capability, numa_node=node, pci=f"0000:{index + 1:02x}:00.0",
        links=(), processes=(), pcie_generation=4, pcie_width=16, pcie_max_generation=4, pcie_max_width=16, ecc=None,
        ecc_errors=None, row_remap=None, mig=None, persistence=None, problem=None,
    )  # fmt: skip


def linked(cards: Sequence[Accelerator], hops: Hops) -> tuple[Accelerator, ...]:
    return tuple(
        replace(one, links=tuple(link(other.index, hops(one.index, other.index)) for other in cards if other != one))
        for one in cards
    )


def two_sockets_8x4090() -> tuple[Accelerator, ...]:
    """Four cards a socket, each two behind a switch."""
    cards = [card(index, node=index // 4) for index in range(8)]
    return linked(cards, lambda a, b: "PIX" if a // 2 == b // 2 else "NODE" if a // 4 == b // 4 else "SYS")


def nvswitch_8xh20() -> tuple[Accelerator, ...]:
    return linked([card(index, H20, node=index // 4) for index in range(8)], lambda _a, _b: "NV18")


def one_switch_4xl40s() -> tuple[Accelerator, ...]:
    return linked([card(index, L40S) for index in range(4)], lambda _a, _b: "PXB")


def bridged_pair_and_two_3090() -> tuple[Accelerator, ...]:
    """Cards 1 and 2 carry a bridge."""
    return linked([card(index, RTX_3090) for index in range(4)], lambda a, b: "NV4" if {a, b} == {1, 2} else "PHB")


def two_4090_two_3090() -> tuple[Accelerator, ...]:
    return linked([card(index, RTX_4090 if index < 2 else RTX_3090) for index in range(4)], lambda _a, _b: "PHB")


def cube_mesh_8xv100() -> tuple[Accelerator, ...]:
    """DGX-1: each card reaches three of its quad and its twin in the other by NVLink."""
    v100 = ("Tesla V100-SXM2-32GB", 32768, "7.0")

    def hops(a: int, b: int) -> str:
        return "NV1" if a // 4 == b // 4 or abs(a - b) == 4 else "SYS"

    return linked([card(index, v100, node=index // 4) for index in range(8)], hops)


RACKS = {
    "two-sockets-8x4090": two_sockets_8x4090(),
    "nvswitch-8xh20": nvswitch_8xh20(),
    "one-switch-4xl40s": one_switch_4xl40s(),
    "bridged-pair-and-two-3090": bridged_pair_and_two_3090(),
    "two-4090-two-3090": two_4090_two_3090(),
    "cube-mesh-8xv100": cube_mesh_8xv100(),
}


def with_free(cards: Sequence[Accelerator], *gib: float) -> tuple[Accelerator, ...]:
    return tuple(replace(one, free_bytes=int(free * GIB)) for one, free in zip(cards, gib, strict=True))


def broken(one: Accelerator) -> Accelerator:
    return replace(one, problem="GPU is lost", memory_bytes=Unknown("GPU is lost"))


def partitioned(one: Accelerator) -> Accelerator:
    return replace(one, mig=Mig(enabled=True, instances=("MIG-1 1g.10gb",)))


def divides(heads: int = 64, kv_heads: int = 8) -> Callable[[Degrees], str]:
    """The rule that every engine with tensor parallelism has."""

    def refuses(degrees: Degrees) -> str:
        if heads % degrees.tensor:
            return f"{heads} heads are not divisible by {degrees.tensor}"
        if kv_heads % degrees.tensor and degrees.tensor % kv_heads:
            return f"{kv_heads} KV heads do not go over {degrees.tensor}"
        if degrees.decode_context > max(1, degrees.tensor // kv_heads):
            return f"{kv_heads} KV heads are not there {degrees.decode_context} times"
        return ""

    return refuses


def no_tensor(degrees: Degrees) -> str:
    """An engine that only splits layers."""
    return "layers are split, never tensors" if degrees.tensor > 1 or degrees.data > 1 else ""


def first_that_fits(site: Site, need_gib: float, geometry: Geometry = DENSE, **options: object) -> Layout | None:
    """As a planner does it: so many GiB in all, spread evenly over the ranks of a copy."""
    refuses = options.pop("refuses", divides(geometry.heads, geometry.kv_heads))
    for layout in layouts(site, geometry, refuses, **options):  # type: ignore[arg-type]
        if layout.free_bytes * layout.degrees.ranks >= need_gib * GIB:
            return layout
    return None


def shape(layout: Layout | None) -> str:
    """A layout in one line, for tables: `TP 2 over 1 of 3 nodes: [0,1] [2,3]`, of each copy and of all nodes that are used."""
    if layout is None:
        return "none"
    d = layout.degrees
    words = [f"TP {d.tensor}", f"PP {d.pipeline}" if d.pipeline > 1 else "", f"DP {d.data}" if d.data > 1 else ""]
    words += ["EP" if d.expert else "", f"over {d.nodes} of {layout.nodes} nodes" if layout.nodes > 1 else ""]
    copies = " ".join("+".join(_stage(stage) for stage in copy) for copy in layout.copies)
    return f"{' '.join(filter(None, words))}: {copies}"


def _stage(devices: Sequence[str]) -> str:
    numbers = [int(device.partition(":")[2]) for device in devices]
    runs = len(numbers) > 2 and all(b - a == 1 for a, b in pairwise(numbers))
    return f"[{numbers[0]}-{numbers[-1]}]" if runs else json.dumps(numbers, separators=(",", ":"))
