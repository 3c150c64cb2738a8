"""What is made of the container engine's descriptions, and of its silence."""

import os
from pathlib import Path

import pytest

from provisioner.model.facts import CannotAsk
from provisioner.world import containers, docker

ADDRESS = "driver failed programming external connectivity on endpoint x (1): "


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"Status": "running"}, "running"),
        ({"Status": "exited", "ExitCode": 1}, "exited with code 1"),
        ({"Status": "exited", "OOMKilled": True, "ExitCode": 137}, "exited: out of memory"),
        (
            {"Status": "exited", "ExitCode": 128, "Error": f"{ADDRESS}Error starting userland proxy: listen tcp4 127.0.0.1:8443: "
             "bind: address already in use"},
            "exited: somebody else took its port, 127.0.0.1:8443",
        ),
        (
            {"Status": "created", "Error": f"{ADDRESS}Bind for 127.0.0.1:8443 failed: port is already allocated"},
            "created: somebody else took its port, 127.0.0.1:8443",
        ),
    ],
)  # fmt: skip
def test_the_state_of_a_container_tells_why_it_ended(described: dict[str, object], told: str) -> None:
    assert containers._state(described) == told


def test_what_dockers_own_variable_names_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    os.makedirs(tmp_path / "releases" / "one")
    assert containers.silence(str(tmp_path)) == "", "nothing was ever made for containers"
    (tmp_path / "releases" / "one" / "compose.yaml").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert containers.silence(str(tmp_path)) == "no Docker socket"
    monkeypatch.setenv("DOCKER_HOST", "ssh://elsewhere")
    with pytest.raises(CannotAsk, match="DOCKER_HOST is ssh://elsewhere"):
        docker.answer(("/_ping",))
