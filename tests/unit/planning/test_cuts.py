"""The order of cuts, by itself: cuts for several kinds of cards are brought together in it."""

import pytest

from provisioner.model.catalog import Geometry
from provisioner.planning.machine.cuts import Refuses, across, cuts, order
from provisioner.planning.machine.layouts import Site, apart
from tests.unit.planning.racks import DENSE, LATENT, RACKS, divides, no_tensor


@pytest.mark.parametrize("refuses", [divides(), divides(128, 128), divides(28, 4), no_tensor, lambda _degrees: ""])
@pytest.mark.parametrize("geometry", [DENSE, LATENT])
@pytest.mark.parametrize("devices", [1, 3, 6, 8, 16])
def test_cuts_come_in_their_own_order(devices: int, geometry: Geometry, refuses: Refuses) -> None:
    inside = [cut.degrees for cut in cuts(devices, geometry, refuses)]
    beyond = [cut.degrees for nodes in (2, 3) for cut in across(devices, nodes, geometry, refuses)]
    assert sorted([*beyond, *inside], key=order) == [*inside, *beyond]


def test_each_kind_of_card_is_a_site_of_its_own_the_newer_of_equal_memory_first() -> None:
    site = Site(RACKS["two-4090-two-3090"][::-1], nodes=3)
    parts = apart(site)
    assert [[card.compute_capability for card in part.cards] for part in parts] == [["8.9", "8.9"], ["8.6", "8.6"]]
    assert {part.nodes for part in parts} == {3}
    assert apart(parts[0]) == (parts[0],)
