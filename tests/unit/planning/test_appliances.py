"""The reference appliances of `inventories/appliances.yaml`: each is planned as what it is sold for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from tests.unit.planning.samples import machine, plan
from tests.unit.planning.test_golden_plans import golden

FILE = Path(__file__).parents[3] / "inventories" / "appliances.yaml"
ENTRIES: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
BOARD_CARDS = ("RTX 4090", "RTX 5090", "L40S")
BOARD = {
    ("32B", 4096): (24, 32, 48), ("32B", 8192): (12, 16, 24), ("70B", 4096): (10, 12, 20), ("70B", 8192): (5, 6, 10),
}  # fmt: skip
"""Requests at the same time that a vendor's board promises of eight cards (design slides, Feb 2025)."""
MODELS = {"32B": "deepseek-r1-distill-qwen-32b", "70B": "deepseek-r1-distill-llama-70b"}


def made(entry: Mapping[str, Any]) -> Plan:
    return plan(machine(entry["hardware"]), Spec(**entry["want"]))


def said(one: Plan) -> dict[str, object]:
    """What an entry may expect."""
    spread = one.parallel
    return {
        "verdict": one.verdict, "engine": one.engine, "precision": one.model.precision if one.model else None,
        "context": one.context, "tensor": spread.tensor, "pipeline": spread.pipeline, "nodes": spread.nodes,
        "replicas": spread.replicas,
    }  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry["name"] for entry in ENTRIES])
def test_each_is_planned_as_it_is_sold_or_refused_with_the_arithmetic(entry: dict[str, Any]) -> None:
    one = made(entry)
    expected = dict(entry["expect"])
    binding, finding = expected.pop("binding", ""), expected.pop("finding", None)
    found = said(one)
    assert {key: found[key] for key in expected} == expected, one.binding
    assert binding in one.binding
    assert finding is None or finding in [each.id for each in one.findings]
    if one.verdict == "refused":
        assert "GiB" in one.binding
        assert one.cheapest_changes


def test_what_is_too_much_for_twelve_gb_is_offered_in_the_ways_that_fit_each() -> None:
    """Ollama keeps a cache in 8 bits with flash attention; fewer tokens or requests are the next ways."""
    hardware = "1x RTX 3060, 8 cores, 32 GiB, 1 TiB disk"
    spec = Spec(model="deepseek-r1-distill-qwen-14b", engine="ollama", precision="q4_k_m")
    asked = plan(machine(hardware), spec)
    offers = [change.flags for change in asked.cheapest_changes]
    assert offers[0] == ("--set", "engine.cache-type-k=q8_0", "--set", "engine.cache-type-v=q8_0")
    assert ("--context", "6144") in offers
    assert ("--concurrency", "1") in offers
    eight = plan(machine(hardware), replace(spec, settings={"engine.cache-type-k": "q8_0"}))
    assert eight.verdict == "fits", eight.binding
    assert (eight.context, eight.services[0].env["OLLAMA_KV_CACHE_TYPE"]) == (8192, "q8_0")
    assert eight.services[0].env["OLLAMA_FLASH_ATTENTION"] == "1"


def test_the_whole_of_it_as_it_was_reviewed() -> None:
    text = "".join(f"{entry['name']}\n  {entry['hardware']}\n{_lines(made(entry))}\n" for entry in ENTRIES)
    assert golden("appliances.txt", text) == text


def _lines(one: Plan) -> str:
    return "".join(f"  {line}\n" for line in _told(one))


def _told(one: Plan) -> Iterator[str]:
    found = said(one)
    yield " ".join(f"{key}={value}" for key, value in found.items())
    if one.verdict == "refused":
        yield one.binding
        for change in one.cheapest_changes:
            yield f"would fit: {change.change}: {change.effect}"
    if one.memory and one.capacity:
        yield (
            f"{one.memory.kv_tokens:,} tokens ({one.memory.kv_tokens_low:,} to {one.memory.kv_tokens_high:,}), "
            f"{one.capacity.concurrent_at_context} requests that fill their context, {one.capacity.tokens_per_second} tokens/s"
        )


def test_the_capacity_board_of_eight_cards_beside_ours() -> None:
    """The board halves from 4K to 8K exactly: a fixed number of tokens, and fewer than the cards are expected to hold."""
    text = "".join(
        _beside(card, size, context, BOARD[size, context][place])
        for place, card in enumerate(BOARD_CARDS)
        for size in MODELS
        for context in (4096, 8192)
    )
    assert golden("capacity-board.txt", text) == text


def _beside(card: str, size: str, context: int, promised: int) -> str:
    hardware = f"8x {card}, 2 sockets, 128 cores, 512 GiB, 4 TiB disk, nvlink=no"
    one = plan(machine(hardware), Spec(model=MODELS[size], precision="bf16", context=context, concurrency=1))
    assert one.verdict == "fits", one.binding
    assert one.memory is not None
    copies = one.parallel.replicas
    low, usual, high = (
        copies * tokens // context
        for tokens in (one.memory.kv_tokens_low, one.memory.kv_tokens, one.memory.kv_tokens_high)
    )
    assert promised <= usual
    spread = f"{copies} x TP {one.parallel.tensor}"
    return f"8 x {card}, {size}, {context} tokens: board {promised}; ours {usual} ({low} to {high}), {spread}\n"
