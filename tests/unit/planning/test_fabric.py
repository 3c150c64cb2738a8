"""Where ranks meet: the interface between nodes, and the NUMA node beside each device."""

import pytest

from provisioner.model.facts import Interface, NumaNode, RdmaDevice, Unknown
from provisioner.model.record import replace
from provisioner.planning.machine.fabric import numa_of, rendezvous
from tests.unit.planning.racks import card

UNKNOWN = Unknown("it could not be asked")
LOOP = Interface("lo", "loopback", True, None, 65536, None, None, None)
DOCKER = Interface("docker0", "bridge", True, 100_000, 1500, None, None, None)
VETH = Interface("veth1f", "virtual", True, 10_000, 1500, None, None, None)
BMC = Interface("enx02", "ethernet", True, 100_000, 1500, "cdc_ether", None, None)
WIRELESS = Interface("wlan0", "wireless", True, 100_000, 1500, "iwlwifi", None, None)
TEN = Interface("eno1", "ethernet", True, 10_000, 1500, "ixgbe", 0, "0000:02:00.0")
ALSO_TEN = replace(TEN, name="eno2")
HUNDRED = Interface("ens1", "ethernet", True, 100_000, 9000, "mlx5_core", 0, "0000:3b:00.0")
UNPLUGGED = replace(HUNDRED, name="ens9", up=False, speed_mbps=None)
BOND = Interface("bond0", "bond", True, 100_000, 9000, None, None, None)
VIRTIO = Interface("enp1s0", "ethernet", True, None, 1500, "virtio_net", None, "0000:01:00.0")
IPOIB = Interface("ib0", "infiniband", True, 400_000, 2044, "mlx5_core", 0, "0000:18:00.0")
ROCE = RdmaDevice("mlx5_0", 1, "active", 100.0, "Ethernet", "ens1", 0)
IB = RdmaDevice("mlx5_1", 1, "active", 400.0, "InfiniBand", "ib0", 0)
NOISE = (LOOP, DOCKER, VETH, BMC, WIRELESS)


@pytest.mark.parametrize(
    ("network", "rdma", "interface", "devices", "because"),
    [
        ((*NOISE, TEN, HUNDRED), (), "ens1", (), "ens1 is the fastest wire that is up (100 Gb/s); no RDMA device is active"),
        ((*NOISE, TEN, UNPLUGGED), (), "eno1", (), "eno1 is the fastest wire that is up (10 Gb/s); no RDMA device is active"),
        ((*NOISE, ALSO_TEN, TEN), (), "eno1", (), "eno1 is the fastest wire that is up (10 Gb/s); no RDMA device is active"),
        ((HUNDRED, BOND), (), "bond0", (), "bond0 is the fastest wire that is up (100 Gb/s); no RDMA device is active"),
        ((VIRTIO,), UNKNOWN, "enp1s0", (),
         "enp1s0 is the fastest wire that is up (its speed is unknown); RDMA is unknown (it could not be asked)"),
        ((*NOISE, TEN, HUNDRED), (ROCE,), "ens1", ("mlx5_0:1",), "ens1 is beside RDMA over Ethernet (100 Gb/s)"),
        ((TEN, HUNDRED, IPOIB), (ROCE, IB), "ib0", ("mlx5_1:1",), "ib0 is beside RDMA over InfiniBand (400 Gb/s)"),
        ((TEN, HUNDRED, IPOIB), (ROCE, replace(IB, state="down")), "ens1", ("mlx5_0:1",),
         "ens1 is beside RDMA over Ethernet (100 Gb/s)"),
        ((HUNDRED, BOND), (ROCE,), "bond0", ("mlx5_0:1",),
         "ens1 is beside RDMA over Ethernet (100 Gb/s) and seems to be part of bond0, which has the address"),
        ((HUNDRED, replace(BOND, speed_mbps=20_000)), (ROCE,), "ens1", ("mlx5_0:1",), "ens1 is beside RDMA over Ethernet (100 Gb/s)"),
        ((IPOIB, BOND), (IB,), "ib0", ("mlx5_1:1",), "ib0 is beside RDMA over InfiniBand (400 Gb/s)"),
        ((TEN,), (replace(IB, interface=None),), "eno1", ("mlx5_1:1",),
         "eno1 is the fastest wire that is up (10 Gb/s); RDMA devices mlx5_1:1 have no interface that is up"),
        (NOISE, (), None, (), "no wired interface is up"),
        (UNKNOWN, (ROCE,), None, (), "the network interfaces are unknown (it could not be asked)"),
    ],
)  # fmt: skip
def test_nodes_meet_on_the_fastest_wire(
    network: tuple[Interface, ...] | Unknown,
    rdma: tuple[RdmaDevice, ...] | Unknown,
    interface: str | None,
    devices: tuple[str, ...],
    because: str,
) -> None:
    met = rendezvous(network, rdma)
    assert (met.interface, met.rdma, met.because) == (interface, devices, because)


def test_all_rdma_devices_of_the_same_speed_are_used() -> None:
    ports = tuple(replace(IB, name=f"mlx5_{number}", interface=f"ib{number}") for number in range(3))
    wires = tuple(replace(IPOIB, name=f"ib{number}") for number in range(3))
    assert rendezvous(wires, (*ports, ROCE)) == replace(
        rendezvous(wires, ports), interface="ib0", rdma=("mlx5_0:1", "mlx5_1:1", "mlx5_2:1")
    )


ZERO = NumaNode(0, "0-31,64-95", 256 << 30, None, (10, 32))
ONE = NumaNode(1, "32-63,96-127", 256 << 30, None, (32, 10))


def test_each_rank_is_bound_beside_its_device() -> None:
    bound = numa_of([card(0, node=0), card(1, node=1)], (ZERO, ONE))
    assert [(one.device, one.node, one.cpus) for one in bound] == [
        ("nvidia:0", 0, "0-31,64-95"), ("nvidia:1", 1, "32-63,96-127"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("node", "numa", "because"),
    [
        (None, (ZERO, ONE), "the kernel names no NUMA node for this device"),
        (-1, (ZERO, ONE), "the kernel names no NUMA node for this device"),
        (0, (ZERO,), "one NUMA node: there is nothing to bind to"),
        (7, (ZERO, ONE), "its NUMA node 7 is not one of the machine's"),
        (0, UNKNOWN, "NUMA nodes unknown (it could not be asked)"),
        (
            2,
            (ZERO, ONE, NumaNode(2, "", 32 << 30, None, ())),
            "NUMA node 2 has no processors, and no distances to others",
        ),
    ],
)
def test_where_nothing_can_be_bound_it_is_said_why(
    node: int | None, numa: tuple[NumaNode, ...] | Unknown, because: str
) -> None:
    (bound,) = numa_of([card(0, node=node)], numa)
    assert (bound.node, bound.cpus, bound.because) == (None, None, because)


def test_a_node_without_processors_is_served_by_the_nearest_that_has_some() -> None:
    """The memory of a card that the kernel counts as a node of its own, as on POWER9 with V100."""
    far = (
        replace(ZERO, distances=(10, 32, 80)),
        replace(ONE, distances=(32, 10, 40)),
        NumaNode(8, "", 32 << 30, None, (80, 40, 10)),
    )
    (bound,) = numa_of([card(0, node=8)], far)
    assert (bound.node, bound.cpus) == (1, "32-63,96-127")
    assert bound.because == "NUMA node 8 has no processors; node 1 is nearest"
