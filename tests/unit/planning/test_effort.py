"""How much work a plan is: calls of functions are counted, as time depends on what else the machine does."""

import sys
from types import FrameType

import pytest

from provisioner.model.spec import Spec
from tests.unit.planning.samples import machine, plan

CALLS = 190_000
"""Of functions, ours and built in: these need 121,000 to 151,000, and needed twice as many while each remedy was sought from the
most demanding step of the ladder down."""


def calls(profile: str, hardware: str) -> int:
    """Of a second plan: the first one fills what lasts for all plans of a catalog."""
    facts, spec, counted = machine(hardware), Spec(profile=profile), 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event in ("call", "c_call")

    assert plan(facts, spec).verdict == "refused"
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        plan(facts, spec)
    finally:
        sys.setprofile(before)
    return counted


@pytest.mark.parametrize(
    ("profile", "hardware"),
    [
        ("standard", "2x RTX 3060, 8 cores, 32 GiB"),
        ("standard", "1x RTX 4090, 16 cores, 64 GiB"),
        ("pro", "2x RTX 4090, 32 cores, 128 GiB"),
        ("flagship", "1x RTX 6000 Ada, 16 cores, 128 GiB"),
    ],
)
def test_a_refusal_with_all_its_remedies_is_little_work(profile: str, hardware: str) -> None:
    assert calls(profile, hardware) < CALLS
