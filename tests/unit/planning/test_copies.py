"""The host's memory limits how many copies of a model are served; it does not refuse the one that it has room for."""

import pytest

from provisioner.model.facts import Unknown
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.memory.host_part import HOST_BYTES, RANK_HOST_BYTES
from tests.unit.planning.samples import decision, machine, plan, used

SMALL = Spec(profile="lite", engine="vllm")
EIGHT = "8x h100-sxm-80g, 32 cores"
ONE_CARD = Spec(model="qwen3-8b", engine="vllm")


@pytest.mark.parametrize(("memory", "copies"), [(256, 8), (24, 3), (16, 2), (12, 1)])
def test_a_small_host_serves_fewer_copies(memory: int, copies: int) -> None:
    made = plan(f"8x RTX 4090, 32 cores, {memory} GiB", SMALL)
    assert (made.verdict, made.parallel.replicas) == ("fits", copies)


def test_fewer_copies_of_the_simplest_cut_come_before_any_other_cut() -> None:
    made = plan(f"{EIGHT}, 16 GiB", ONE_CARD)
    assert (made.parallel.tensor, made.parallel.pipeline, made.parallel.replicas) == (1, 1, 2)


def test_cards_that_stay_idle_for_the_host_are_accounted_for() -> None:
    def rejected(memory: int) -> list[str]:
        made = plan(f"{EIGHT}, {memory} GiB", ONE_CARD)
        return [other.option for one in made.decisions if one.subject == "devices" for other in one.rejected]

    assert rejected(16) == ["8 copies on a node"]
    assert rejected(512) == []


def test_each_node_has_a_host_of_its_own() -> None:
    made = plan(f"{EIGHT}, 16 GiB, 4 nodes", ONE_CARD)
    assert (made.parallel.pipeline, made.parallel.nodes, made.parallel.replicas) == (1, 1, 8)
    assert [service.node for service in made.services] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_each_copy_is_a_server_of_its_own() -> None:
    copies = plan(f"{EIGHT}, 512 GiB", ONE_CARD)
    whole = plan(f"{EIGHT}, 512 GiB", replace(ONE_CARD, settings={"engine.tensor-parallel-size": "8"}))
    assert (copies.parallel.replicas, whole.parallel.replicas) == (8, 1)
    assert used(copies, "host") == 8 * (HOST_BYTES + RANK_HOST_BYTES)
    assert used(whole, "host") == HOST_BYTES + 8 * RANK_HOST_BYTES


def test_a_host_that_is_too_small_for_one_is_refused() -> None:
    assert plan("8x RTX 4090, 32 cores, 4 GiB", SMALL).verdict == "refused"


def test_what_is_refused_for_its_host_is_still_told_as_it_would_run() -> None:
    made, roomy = plan(f"{EIGHT}, 4 GiB", ONE_CARD), plan(f"{EIGHT}, 512 GiB", ONE_CARD)
    assert made.verdict == "refused"
    assert "on host" in made.binding
    assert made.memory is not None
    assert roomy.memory is not None
    assert made.memory.kv_bytes_per_token == roomy.memory.kv_bytes_per_token
    assert decision(made, "devices") == "one device (nvidia:0)"
    assert "engine-backend" not in [finding.id for finding in made.findings]


def test_a_host_of_unknown_memory_is_refused() -> None:
    made = plan(replace(machine("1x RTX 4090, 64 GiB"), memory=Unknown("/proc/meminfo was not read")), ONE_CARD)
    assert made.verdict == "refused"
    assert "/proc/meminfo was not read" in made.binding
