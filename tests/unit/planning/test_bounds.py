"""`auto` passes tiers over by their weights alone where it can: what it says of them is what a whole try of each would say."""

import pytest

from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.attempt import Choice, Scene
from provisioner.planning.choose import choose
from provisioner.planning.ground import survey
from provisioner.planning.settings import wish_of
from tests.unit.planning.samples import CATALOG, machine

MACHINES = (
    "1x RTX 4090, 16 cores, 64 GiB",
    "1x RTX 3060, 8 cores, 16 GiB",
    "2x RTX 3060, 8 cores, 32 GiB",
    "4x L40S, 64 cores, 512 GiB",
    "8x RTX 4090, 64 cores, 1 TiB",
    "1x H100 80GB, 32 cores, 1 TiB",
    "8x H20, 64 cores, 2 TiB",
    "8x V100 32GB, 40 cores, 256 GiB",
    "4x Ascend 910B3, 192 cores, 512 GiB",
    "1x MI300X, 32 cores, 256 GiB",
    "1x RTX 4090, 2x RTX 3060, 16 cores, 64 GiB",
    "8 cores, 8 GiB",
    "128 cores, 1 TiB",
)


def chosen(profile: str, hardware: str) -> Choice:
    facts = machine(hardware)
    return choose(Scene(wish_of(Spec(profile=profile)), facts, survey(facts), CATALOG, Shelf()))


@pytest.mark.parametrize("hardware", MACHINES)
def test_the_reason_of_each_tier_is_that_of_its_nearest_step(hardware: str) -> None:
    for passed in chosen("auto", hardware).tiers:
        whole = chosen(passed.option, hardware).attempt
        assert passed.reason == whole.problem or (not whole.problem and whole.slow), passed.option


@pytest.mark.parametrize("hardware", MACHINES)
def test_the_tier_that_is_taken_tells_all_steps_that_were_passed_over(hardware: str) -> None:
    auto = chosen("auto", hardware)
    alone = chosen(auto.attempt.profile.name, hardware)
    assert auto.rungs == alone.rungs
    assert auto.attempt.label == alone.attempt.label
