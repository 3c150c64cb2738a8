"""What a refusal proposes: whole commands that keep what was asked for, and changes of the machine that keep its limits."""

from provisioner.model.facts import Limits
from provisioner.planning.whatif import what_if
from tests.unit.planning.samples import CATALOG, GIB, machine, with_limits


def test_memory_that_is_added_raises_a_limit_and_does_not_lift_it() -> None:
    facts = with_limits(machine("8 cores, 64 GiB"), memory=8 * GIB)
    more, other = what_if(facts, "+1 GiB", CATALOG).limits, what_if(facts, "128 GiB", CATALOG).limits
    assert isinstance(more, Limits)
    assert more.memory_bytes == 9 * GIB
    assert isinstance(other, Limits)
    assert other.memory_bytes is None
