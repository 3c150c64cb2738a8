"""Where the ranks of a copy meet: the interface between nodes, and the processors and memory beside each device."""

from collections.abc import Iterator, Sequence

from provisioner.model.cpus import from_list
from provisioner.model.facts import Accelerator, Interface, NumaNode, RdmaDevice, Unknown
from provisioner.model.plan import Rejected
from provisioner.model.record import dataclass, replace
from provisioner.planning.machine.islands import device_name

WIRED = ("ethernet", "bond", "infiniband")
"""What may carry traffic between nodes; bridges, tunnels, wireless and virtual interfaces never do."""

MANAGEMENT = ("cdc_ether", "cdc_ncm", "cdc_subset", "rndis_host")
"""Drivers of network cards on USB: as a rule the server's management controller."""


@dataclass(frozen=True, slots=True)
class Rendezvous:
    """`interface` is None where there is none to use; `rdma` are the devices beside it, as `name:port`."""

    interface: str | None
    rdma: tuple[str, ...]
    because: str
    address: str | None = None
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """The NUMA node beside one device, and its processors; None where there is nothing to bind to."""

    device: str
    node: int | None
    cpus: str | None
    because: str


def rendezvous(network: Sequence[Interface] | Unknown, rdma: Sequence[RdmaDevice] | Unknown) -> Rendezvous:
    """RDMA that is up and has an interface that is up, fastest first; else the fastest wire that is up.

    Where addresses are known, only interfaces that have one come into question: ranks find each other by them.
    """
    if isinstance(network, Unknown):
        return Rendezvous(None, (), f"the network interfaces are unknown ({network.reason})")
    addressed = any(each.address for each in network)
    found = _fastest([each for each in network if each.address or not addressed], rdma)
    address = next((each.address for each in network if each.name == found.interface), None)
    return replace(found, address=address, rejected=tuple(_passed_over(network, found, addressed)))


def _passed_over(network: Sequence[Interface], found: Rendezvous, addressed: bool) -> Iterator[Rejected]:
    """Those that are up, each with its reason; most machines have many that are not."""
    for each in network:
        if not each.up or each.name == found.interface or each.kind == "loopback":
            continue
        if each.kind not in WIRED:
            yield Rejected(each.name, f"{each.kind}: it ends in this machine, or is no wire")
        elif each.driver in MANAGEMENT:
            yield Rejected(each.name, "it leads to the server's management controller")
        elif addressed and not each.address:
            yield Rejected(each.name, "it has no address")
        else:
            yield Rejected(each.name, f"no faster, or without RDMA ({_told(each)})")


def _fastest(network: Sequence[Interface], rdma: Sequence[RdmaDevice] | Unknown) -> Rendezvous:
    wires = [each for each in network if each.up and each.kind in WIRED and each.driver not in MANAGEMENT]
    active = [] if isinstance(rdma, Unknown) else [port for port in rdma if port.state == "active"]
    over_rdma = _over_rdma(wires, active)
    if over_rdma is not None:
        return over_rdma
    wires = [each for each in wires if each.kind != "infiniband"] or wires
    if not wires:
        return Rendezvous(None, (), "no wired interface is up")
    best = max(wires, key=lambda each: (_speed(each), each.kind == "bond", _first(each.name)))
    unknown = f"; RDMA is unknown ({rdma.reason})" if isinstance(rdma, Unknown) else "; no RDMA device is active"
    ports = tuple(f"{port.name}:{port.port}" for port in active)
    beside = f"; RDMA devices {', '.join(ports)} have no interface that is up" if ports else unknown
    return Rendezvous(best.name, ports, f"{best.name} is the fastest wire that is up ({_told(best)}){beside}")


def _over_rdma(wires: Sequence[Interface], active: Sequence[RdmaDevice]) -> Rendezvous | None:
    named = {each.name: each for each in wires}
    ports = [port for port in active if port.interface in named]
    if not ports:
        return None
    best = max(ports, key=lambda port: (port.rate_gbps or 0, _first(port.interface or "")))
    alike = tuple(
        f"{port.name}:{port.port}"
        for port in active
        if port.rate_gbps == best.rate_gbps and port.link_layer == best.link_layer
    )
    rate = f"{best.rate_gbps:g} Gb/s" if best.rate_gbps else "its rate is unknown"
    beside = f"{best.interface} is beside RDMA over {best.link_layer} ({rate})"
    bond = _bond_over(named[best.interface or ""], wires)
    if bond is not None:
        return Rendezvous(bond.name, alike, f"{beside} and seems to be part of {bond.name}, which has the address")
    return Rendezvous(best.interface, alike, beside)


def _bond_over(wire: Interface, wires: Sequence[Interface]) -> Interface | None:
    """A bond takes the addresses of its parts; which these are, nobody told, but none is faster than the whole."""
    bonds = [each for each in wires if each.kind == "bond" and wire.kind == "ethernet" and _speed(each) >= _speed(wire)]
    return max(bonds, key=_speed, default=None)


def _speed(interface: Interface) -> int:
    return interface.speed_mbps or 0


def _told(interface: Interface) -> str:
    return f"{interface.speed_mbps / 1000:g} Gb/s" if interface.speed_mbps else "its speed is unknown"


def _first(name: str) -> tuple[int, ...]:
    """Of equal ones the first by name, under `max`."""
    return tuple(-ord(letter) for letter in name)


def numa_of(group: Sequence[Accelerator], numa: Sequence[NumaNode] | Unknown) -> tuple[Binding, ...]:
    """For each device the node whose processors and memory its rank is bound to."""
    return tuple(_binding(card, numa) for card in group)


def rank_nodes(group: Sequence[Accelerator], numa: Sequence[NumaNode] | Unknown) -> tuple[int, ...]:
    """For each rank the node beside its device, where they are on several; none where all are on one, or one is not known.

    Processors and memory of a service whose devices share a node are held to it as a whole.
    """
    nodes = [one.node for one in numa_of(group, numa) if one.node is not None]
    return tuple(nodes) if len(nodes) == len(group) and len(set(nodes)) > 1 else ()


def _binding(card: Accelerator, numa: Sequence[NumaNode] | Unknown) -> Binding:
    device = device_name(card)
    if isinstance(numa, Unknown):
        return Binding(device, None, None, f"NUMA nodes unknown ({numa.reason})")
    serving = [node for node in numa if node.memory_bytes > 0 and _has_cpus(node)]
    if len(serving) < 2:
        return Binding(device, None, None, "one NUMA node: there is nothing to bind to")
    if card.numa_node is None or card.numa_node < 0:
        return Binding(device, None, None, "the kernel names no NUMA node for this device")
    here = next((node for node in numa if node.node == card.numa_node), None)
    if here is None:
        return Binding(device, None, None, f"its NUMA node {card.numa_node} is not one of the machine's")
    if here in serving:
        return Binding(device, here.node, here.cpus, f"NUMA node {here.node} is beside it")
    near = _nearest(here, numa, serving)
    if near is None:
        return Binding(device, None, None, f"NUMA node {here.node} has no processors, and no distances to others")
    return Binding(
        device, near.node, near.cpus, f"NUMA node {here.node} has no processors; node {near.node} is nearest"
    )


def _nearest(here: NumaNode, numa: Sequence[NumaNode], serving: Sequence[NumaNode]) -> NumaNode | None:
    """Distances are written in the order of the nodes."""
    if len(here.distances) != len(numa):
        return None
    away = dict(zip((node.node for node in numa), here.distances, strict=True))
    return min(serving, key=lambda node: (away[node.node], node.node))


def _has_cpus(node: NumaNode) -> bool:
    try:
        return bool(from_list(node.cpus))
    except ValueError:
        return False
