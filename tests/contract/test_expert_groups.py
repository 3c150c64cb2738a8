"""Ranks that serve requests of their own and share the experts, as DeepSeek is served by plans: what each engine makes of its argv."""

import pytest

from tests.bed.engine import Engine
from tests.contract.test_vllm_degrees import COMMON, WIDE
from tests.unit.planning.test_golden_plans import GROUPS, in_groups

pytestmark = pytest.mark.needs("vllm")

DEGREES = {"a rank a card": (8, 8, [0]), "two groups of four": (2, 2, [0]), "over two nodes": (16, 8, [0, 8])}
"""How many groups, how many of them on each node, and the first of each node's."""


def test_all_of_them_are_held_here() -> None:
    assert {f"{engine}, {name}" for engine in ("vllm", "sglang") for name in DEGREES} == set(GROUPS)


@pytest.mark.parametrize("name", DEGREES)
def test_vllm_places_each_node_s_ranks(engine: Engine, name: str) -> None:
    """Of the flags for nodes it infers how many ranks are here, the first of them, and whom they meet; no other is needed."""
    groups, here, firsts = DEGREES[name]
    config = {**COMMON, **WIDE["latent"], "max_position_embeddings": 32768}
    folder = engine.config_only("latent-in-groups", config)
    services = in_groups(f"vllm, {name}").services
    seen = [engine("placed", folder=str(folder), argv=list(one.argv[3:])) for one in services]
    assert [(one["groups"], one["here"], one["first"], one["within"]) for one in seen] == [
        (groups, here, first, 0) for first in firsts
    ]
    assert all(one["experts whole"] for one in seen)
    meets = {one.options.get("master-addr", "127.0.0.1") for one in services}
    assert {one["meets"] for one in seen} == meets


@pytest.mark.parametrize("name", DEGREES)
def test_sglang_reads_as_many_groups_of_attention(engine: Engine, name: str) -> None:
    """`--tp-size` counts every rank; attention is parted into groups of them, and each holds whole experts."""
    groups, _, firsts = DEGREES[name]
    services = in_groups(f"sglang, {name}").services
    assert len(services) == len(firsts)
    ranks = 8 * len(services)
    for rank, one in enumerate(services):
        seen = engine("parse", engine="sglang", argv=list(one.argv[3:]))
        assert (seen["tp_size"], seen["attn_dp_size"], seen["ep_size"]) == (ranks, groups, ranks)
        assert (seen["nnodes"], seen["node_rank"]) == (len(services), rank)
