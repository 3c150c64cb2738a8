"""What lies between containers that are there and a release of containers."""

import json

import pytest

from provisioner.model.containers import Container, Mount
from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile, Running, Standing
from provisioner.targets.docker import LASTING, PARTS, TARGET, compose
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


def test_what_changes_while_it_runs_lies_at_one_place_or_in_the_folder_itself() -> None:
    watching = Container("a", "a", "a:1", mounts=(Mount("@LIVE@/a", "/etc/a"),))
    assert "source: ${PROVISION_LIVE:-.}/a" in compose((watching,), PLACE, {"a": ""}).replace("'", "")
    with_it = replace(RELEASE, files=(*RELEASE.files, ReleaseFile(LASTING, "")))
    (told,) = TARGET.replace(NOTHING, with_it, PLACE)
    assert f"--env-file {PLACE.release(RELEASE.digest)}/live.env " in str(told)
    (old,) = TARGET.replace(NOTHING, RELEASE, PLACE)
    assert "--env-file" not in str(old)
