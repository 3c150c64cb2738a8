"""What lies between containers that are there and a release of containers."""

import json

import pytest

from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.targets.docker import PARTS, TARGET
from tests.unit.planning.samples import PLACE

RELEASE = Release("1" * 64, "docker", (ReleaseFile(PARTS, json.dumps({"llm": "a", "gateway": "b"})),), (), {})
NOTHING = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())


def container(service: str, part: str, state: str = "running") -> Running:
    return Running(service, RELEASE.digest, "docker", 4711, 1, state, part)


ALL = (container("llm", "a"), container("gateway", "b"))


def test_what_stands_is_left_alone() -> None:
    assert TARGET.replace(replace(NOTHING, running=ALL), RELEASE, PLACE) == ()


@pytest.mark.parametrize(
    "there",
    [
        ALL[:1],
        (ALL[0], container("gateway", "c")),
        (ALL[0], container("gateway", "b", "exited with code 1")),
        (*ALL, container("llm-beta", "d")),
        (*ALL, container("llm-beta", "d", "exited with code 1")),
    ],
)
def test_whatever_is_missing_or_too_much_is_composed_again(there: tuple[Running, ...]) -> None:
    """One of another release that has ended is there as well, and its runtime would start it again."""
    (action,) = TARGET.replace(replace(NOTHING, running=there), RELEASE, PLACE)
    assert "--remove-orphans" in str(action)
