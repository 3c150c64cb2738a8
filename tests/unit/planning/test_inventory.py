"""An inventory's plans are those that each machine gets by itself."""

import random

import pytest

from provisioner.model.facts import DeviceProcess, Host, HostFacts, Unknown
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.inventory import likeness, plan_all
from provisioner.planning.plan import make_plan
from tests.unit.planning.samples import CATALOG, GIB, PLACE, machine
from tests.unit.planning.test_contained import with_docker

HARDWARE = (
    "16 cores, 64 GiB", "1x RTX 4090, 16 cores, 64 GiB", "2x RTX 3090, 16 cores, 128 GiB", "4x L40S, 64 cores, 512 GiB",
    "8x MI300X, 128 cores, 1024 GiB", "8x 910B3, 192 cores, 1024 GiB",
)  # fmt: skip


def hosts(count: int, seed: int) -> list[HostFacts]:
    """Machines of a few kinds, each with names of its own, and here and there a co-tenant or a broken card."""
    chance = random.Random(seed)
    return [_host(machine(chance.choice(HARDWARE)), number, chance) for number in range(count)]


def _host(facts: HostFacts, number: int, chance: random.Random) -> HostFacts:
    accelerators = dict(facts.accelerators)
    for vendor, cards in facts.accelerators.items():
        assert not isinstance(cards, Unknown)
        cards = tuple(replace(card, uuid=f"GPU-{number}-{card.index}") for card in cards)
        if cards and chance.random() < 0.3:
            used = chance.choice((1, 3, 20)) * GIB
            free = cards[0].free_bytes
            assert isinstance(free, int)
            tenant = (DeviceProcess(chance.choice((7, 8)), "python3", used),)
            problem = chance.choice((None, "it has fallen off the bus"))
            cards = (replace(cards[0], free_bytes=max(0, free - used), processes=tenant, problem=problem), *cards[1:])
        accelerators[vendor] = cards
    host = Host(f"host-{number}", "Debian", "6.12", "x86_64", None, None, f"boot-{number}")
    return replace(facts, host=host, accelerators=accelerators)


@pytest.mark.parametrize("profile", ["auto", "standard"])
def test_each_plan_is_the_one_that_the_machine_gets_by_itself(profile: str) -> None:
    spec, everyone = Spec(profile=profile), hosts(60, seed=11)
    found = list(plan_all(spec, everyone, CATALOG, Shelf(), PLACE))
    assert found == [make_plan(spec, facts, CATALOG, Shelf(), PLACE) for facts in everyone]
    assert {plan.hostname for plan in found} == {f"host-{number}" for number in range(60)}
    assert len({likeness(facts) for facts in everyone}) < 40


def test_a_container_is_given_the_cards_of_its_own_machine_through_the_device_interface_too() -> None:
    alike = [with_docker(facts, "28.2.0") for facts in hosts(60, seed=11)]
    found = [
        plan.services[0].grant
        for plan in plan_all(Spec(profile="standard"), alike, CATALOG, Shelf(), PLACE)
        if plan.services
    ]
    named = [grant.cdi for grant in found if grant and grant.cdi]
    assert len(named) > len(alike) // 4
    assert len(set(named)) == len(named)


def test_what_is_kept_from_other_machines_changes_no_plan() -> None:
    for facts in hosts(20, seed=12):
        kept = make_plan(Spec(), facts, CATALOG, Shelf(), PLACE)
        CATALOG.known.clear()
        assert make_plan(Spec(), facts, CATALOG, Shelf(), PLACE) == kept


def test_a_byte_more_or_less_is_another_machine() -> None:
    facts = machine("1x RTX 4090, 16 cores, 64 GiB")
    assert not isinstance(facts.memory, Unknown)
    other = replace(facts, memory=replace(facts.memory, available_bytes=facts.memory.available_bytes - 1))
    assert likeness(facts) != likeness(other)
    assert likeness(facts) == likeness(machine("1x RTX 4090, 16 cores, 64 GiB"))


def test_cards_without_ids_of_their_own_are_told_apart_by_those_they_have() -> None:
    facts = machine("2x RTX 3090, 16 cores, 128 GiB")
    (vendor, cards), *_ = facts.accelerators.items()
    assert not isinstance(cards, Unknown)
    nameless = replace(facts, accelerators={vendor: tuple(replace(card, uuid="") for card in cards)})
    assert likeness(nameless) != likeness(facts)
    assert [plan.services for plan in plan_all(Spec(), (facts, nameless), CATALOG, Shelf(), PLACE)] == [
        make_plan(Spec(), each, CATALOG, Shelf(), PLACE).services for each in (facts, nameless)
    ]
