"""Engines in containers as they are rendered, for every profile on every kind of machine; `make golden` writes them anew."""

import os

import pytest

from provisioner.model.plan import Plan
from provisioner.targets import docker
from tests.unit.planning.samples import PLACE
from tests.unit.targets.stacks import MACHINES, plans

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "compose")


def engines_of(made: Plan) -> str:
    """The Compose file of the first copy alone: others have other devices, and what stands beside has tests of its own."""
    wanted = tuple(docker.container_of(service) for service in made.services[:1])
    return docker.compose(wanted, PLACE, {one.name: "0" * 8 for one in wanted})


@pytest.mark.parametrize("machine", MACHINES)
def test_every_profile(machine: str) -> None:
    hardware, _ = MACHINES[machine]
    told = [f"# {hardware}\n"]
    for name, made in plans(machine):
        head = f"\n# {name}: {made.verdict}, {made.engine or 'no engine'}\n"
        told.append(head + (engines_of(made) if made.verdict == "fits" else f"# {made.binding}\n"))
    text = "".join(told)
    path = os.path.join(FOLDER, f"{machine}.yaml")
    if os.environ.get("GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(path, encoding="utf-8") as file:
        assert file.read() == text


@pytest.mark.parametrize("machine", ["rtx4090", "910b", "cpu"])
def test_secrets_are_files_and_stand_nowhere_else(machine: str) -> None:
    for _, made in plans(machine):
        for service in made.services:
            container = docker.container_of(service)
            words = " ".join((*container.argv, *container.env, *container.env.values()))
            assert "api-key " not in words
            assert "API_KEY" not in words
            assert set(docker.secrets_of(container)) == {f"{PLACE.state}/secrets/llm.key"}
