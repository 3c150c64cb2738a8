"""The program with a state folder of its own, on the container engine: what the tests of the stack start and look at."""

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

from provisioner.world import containers
from tests.e2e.appliance import PLANNING, Appliance
from tests.e2e.door import Door
from tests.ports import free_port


@dataclass
class Stack(Appliance):
    """`planned` is what is brought up; each test says its model, its engine and their images."""

    published: int = field(default_factory=free_port)
    spare: int = field(default_factory=free_port)
    """For what else of the stack is published."""

    def words(self, verb: str, *more: str) -> list[str]:
        listen = ("--listen", f"127.0.0.1:{self.published}") if verb in PLANNING else ()
        return super().words(verb, "--target", "docker", *listen, *more) if listen else super().words(verb, *more)

    def containers(self) -> dict[str, str]:
        """Each container of this state, and how it is."""
        return {one.service: one.state for one in containers.running(self.state)}

    def of(self, service: str) -> dict[str, Any]:
        """What the container engine says of one container."""
        label = f"label=provision.state={self.state}"
        found = docker(
            "ps", "-aq", "--filter", label, "--filter", f"label=com.docker.compose.service={service}"
        ).split()
        (described,) = json.loads(docker("inspect", *found))
        assert isinstance(described, dict)
        return described

    def address(self, service: str) -> str:
        """That of its container, in the first of its networks."""
        networks = self.of(service)["NetworkSettings"]["Networks"].values()
        return next(str(one["IPAddress"]) for one in networks)

    def end(self) -> None:
        label = f"label=provision.state={self.state}"
        left = docker("ps", "-aq", "--filter", label).split()
        if left:
            docker("rm", "-f", *left)
        for network in docker(
            "network", "ls", "-q", "--filter", f"label=com.docker.compose.project={self.project}"
        ).split():
            docker("network", "rm", network)

    @property
    def door(self) -> Door:
        return Door(f"https://127.0.0.1:{self.published}", f"{self.state}/secrets/tls/authority.pem")

    @property
    def project(self) -> str:
        from hashlib import sha256

        return f"provision-{sha256(self.state.encode()).hexdigest()[:8]}"


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"docker {words}: {done.stderr}"
    return done.stdout
