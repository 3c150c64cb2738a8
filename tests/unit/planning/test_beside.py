"""What the services beside the engines are told of their machine."""

from provisioner.model.facts import Interface, Unknown
from provisioner.model.record import replace
from provisioner.planning.serving.beside import addresses
from tests.unit.planning.samples import machine

NETWORK = (
    Interface("lo", "loopback", True, None, 65536, None, None, None, "127.0.0.1"),
    Interface("eno1", "ethernet", True, 10000, 1500, "ixgbe", 0, "0000:3b:00.0", "10.0.0.7"),
    Interface("eno2", "ethernet", False, None, 1500, "ixgbe", 0, "0000:3b:00.1", "10.1.0.7"),
    Interface("docker0", "bridge", True, None, 1500, None, None, None, "172.17.0.1"),
    Interface("br-5c18ef438059", "bridge", True, 10000, 1500, None, None, None, "172.18.0.1"),
    Interface("br0", "bridge", True, 10000, 1500, None, None, None, "192.0.2.7"),
    Interface("wg0", "virtual", True, None, 1420, None, None, None, None),
)


def test_a_machine_is_reached_by_what_is_up_and_not_by_what_containers_made_for_themselves() -> None:
    facts = replace(machine("1x RTX 4090"), network=NETWORK)
    assert tuple(addresses(facts)) == ("10.0.0.7", "192.0.2.7")
    assert tuple(addresses(replace(facts, network=Unknown("not asked")))) == ()
