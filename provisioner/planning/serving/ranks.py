"""What the ranks of a service are told beside its degrees: the NUMA node of each, and where those of several nodes meet."""

from collections.abc import Iterator, Mapping

from provisioner.engines._constants import pick
from provisioner.model.cpus import from_list
from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.plan import Decision, Finding, Rejected, Service
from provisioner.model.plugins import Engine, Vendor
from provisioner.planning.machine.fabric import Rendezvous, numa_of, rank_nodes, rendezvous
from provisioner.planning.tries.attempt import Attempt, Scene

FIRST_NODE = "first-node.invalid"
"""No name server ever knows a name under `.invalid` (RFC 6761): an engine that is started with it ends at once."""

MEETS_AT = ("master-addr", "dist-init-addr")
"""Flags of engines for the address of the first of several nodes."""

PORT = 29501
"""Where ranks meet: vLLM's own default for `--master-port` (0.32.0 config/parallel.py)."""


def numa_options(attempt: Attempt, cards: tuple[Accelerator, ...], scene: Scene) -> Mapping[str, str]:
    """Each rank beside its device, where devices of one service are beside several nodes, and the engine can bind them."""
    served, options = attempt.served, attempt.engine.options
    if served is None or scene.wish.cpus or not _usable(cards, scene.facts):
        return {}
    load = served.load
    nodes = " ".join(map(str, rank_nodes(cards, scene.facts.numa)))
    if not nodes or not pick(load.constants, "binds_ranks", load.version, load.card, load.degrees).value:
        return {}
    wanted = {"numa-bind": "true", "numa-bind-nodes": nodes, "numa-node": nodes}
    return {flag: value for flag, value in wanted.items() if flag in options}


def _usable(cards: tuple[Accelerator, ...], facts: HostFacts) -> bool:
    """Whether we ourselves may use processors beside each of them: a rank cannot be bound to others."""
    if isinstance(facts.cpu, Unknown) or not facts.cpu.usable:
        return True
    ours = from_list(facts.cpu.usable)
    return all(ours & from_list(one.cpus or "") for one in numa_of(cards, facts.numa))


def numa_decision(service: Service, cards: tuple[Accelerator, ...], facts: HostFacts) -> Decision:
    """Where processors and memory of the service are, and of each of its ranks."""
    because = "; ".join(dict.fromkeys(one.because for one in numa_of(cards, facts.numa)))
    if not service.numa_nodes:
        return Decision("NUMA", "left to the kernel", because)
    ranks = service.options.get("numa-bind-nodes", service.options.get("numa-node"))
    if ranks is None:
        return Decision("NUMA", f"nodes {service.numa_nodes}", because)
    others = (
        Rejected("one binding for all ranks", "half of the buffers of a rank would lie beside another one's device"),
    )
    return Decision("NUMA", f"nodes {service.numa_nodes}, rank by rank on {ranks.replace(' ', ', ')}", because, others)


def meeting(facts: HostFacts, maker: Vendor) -> Mapping[str, str]:
    """The interface on which nodes find each other, and on which their ranks exchange what they compute."""
    interface = rendezvous(facts.network, facts.rdma).interface
    return dict.fromkeys(maker.interface_variables, interface) if interface else {}


def first_node(engine: Engine, facts: HostFacts, first: int) -> Mapping[str, str]:
    """The address in every command line: the one of the machine that is planned for, else one that no start gets past.

    `first` is the number of the node that the other ranks of a copy come to; only node 0 is a machine that somebody has seen.
    """
    address = (rendezvous(facts.network, facts.rdma).address if first == 0 else None) or FIRST_NODE
    wanted = {"master-addr": address, "master-port": str(PORT), "dist-init-addr": f"{address}:{PORT}"}
    return {flag: value for flag, value in wanted.items() if flag in engine.options}


def meeting_decisions(service: Service, engine: Engine, scene: Scene) -> Iterator[Decision]:
    """Which interface, and whose address; with what was passed over."""
    found = rendezvous(scene.facts.network, scene.facts.rdma)
    yield Decision("nodes meet on", found.interface or "not known", found.because, found.rejected)
    flag = next((flag for flag in MEETS_AT if flag in engine.options), None)
    if flag is None:
        return
    known = service.options.get(flag, "")
    yield Decision("address of the first node", known, _whose(found, flag, scene))


def without_address(attempt: Attempt, scene: Scene) -> tuple[Finding, ...]:
    """Said beside the plan as well: its command lines are not whole. Nobody knows addresses of machines that are yet to be bought."""
    served = attempt.served
    flag = next((flag for flag in MEETS_AT if flag in attempt.engine.options), None)
    if served is None or served.load.degrees.nodes == 1 or flag is None or flag in scene.wish.options:
        return ()
    if served.layout.nodes == served.load.degrees.nodes and rendezvous(scene.facts.network, scene.facts.rdma).address:
        return ()
    told = f"the address of a first node is not known: `{FIRST_NODE}` stands for it, with which no engine starts"
    described = "network" in scene.facts.assumed
    if described:
        told = f"the network between these machines is taken as enough, and `{FIRST_NODE}` stands for the first one's address"
    level = "warning" if described else "error"
    return (Finding("first-node", level, told, fix=f"`--set engine.{flag}=ADDRESS`"),)


def _whose(found: Rendezvous, flag: str, scene: Scene) -> str:
    setting = f"`--set engine.{flag}=ADDRESS`"
    if flag in scene.wish.options:
        return "set by name"
    if found.address:
        return f"this machine is the first, and {found.interface} has this address; {setting} names another"
    return (
        f"a placeholder, with which no engine starts: no interface with an address is known of these machines; {setting} "
        "puts the real one into every command line"
    )
