"""What is passed over by a bound alone, tiers by their weights and layouts by their host: the answer is that of a whole try of each."""

import pytest

from provisioner.engines import vllm
from provisioner.engines._vllm_memory import usage
from provisioner.model.load import Load, Usage
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung, Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.devices import link_of
from provisioner.planning.asked.settings import wish_of
from provisioner.planning.machine.ground import survey
from provisioner.planning.machine.layouts import Site
from provisioner.planning.tries.attempt import Choice, Scene
from provisioner.planning.tries.choose import choose
from provisioner.planning.tries.served import attempts, short, try_served
from provisioner.planning.tries.tried import Asked
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


SHORT_HOSTS = (
    "16x H100 SXM, nvlink=yes, 16 cores, 1 GiB",
    "8x RTX 4090, 64 cores, 9 GiB",
    "4x L40S, 64 cores, 7 GiB",
    "8x RTX 4090, 4x RTX 3090, 32 cores, 11 GiB",
    "8x H100 SXM, 2 nodes, 64 cores, 5 GiB",
)


def step(hardware: str, model: str) -> tuple[Scene, Profile, Rung]:
    facts = machine(hardware)
    scene = Scene(wish_of(Spec(profile="standard")), facts, survey(facts), CATALOG, Shelf())
    profile = replace(CATALOG.profile("standard"), model=model)
    return scene, profile, Rung("bf16", 8192, "device")


def nothing_is_beyond(_copies: int, _ranks: int) -> bool:
    return False


@pytest.mark.parametrize("model", ["qwen3-14b", "qwen3-32b", "llama-3.3-70b-instruct"])
@pytest.mark.parametrize("hardware", SHORT_HOSTS)
def test_layouts_that_the_host_rules_out_change_no_answer(hardware: str, model: str) -> None:
    scene, profile, rung = step(hardware, model)
    found = try_served(scene, profile, rung, vllm.ENGINE)
    assert found.subject is not None
    asked = Asked(scene, profile, rung, vllm.ENGINE, found.subject, profile.concurrency)
    site = Site(scene.ground.cards, scene.facts.nodes, link_of(CATALOG, scene.facts))
    every = list(attempts(asked, site, nothing_is_beyond))
    whole = next((one for one in every if not one.problem), None) or min(every, key=short)
    assert (found.problem, found.fit, found.served) == (whole.problem, whole.fit, whole.served)
    assert bool(try_served(replace(scene, terse=True), profile, rung, vllm.ENGINE).problem) == bool(found.problem)


def test_a_host_without_room_for_one_device_is_not_asked_about_every_cut() -> None:
    """16 cards beside 1 GiB: all ways to cut a model over them end at the same lack."""
    asked: list[Load] = []

    def counted(load: Load) -> Usage:
        asked.append(load)
        return usage(load)

    scene, profile, rung = step(SHORT_HOSTS[0], "qwen3-14b")
    assert "engine itself on host" in try_served(scene, profile, rung, replace(vllm.ENGINE, usage=counted)).problem
    assert len(asked) < 10
