"""Docker's configuration file: what it will do after its next start."""

import json
from collections.abc import Mapping

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown
from provisioner.model.upkeep import DockerConfiguration

FILE = "/etc/docker/daemon.json"
CGROUPS = "native.cgroupdriver="


def parse(answers: Answers) -> DockerConfiguration:
    """A file that is broken is a fact about it: Docker refuses to start with one."""
    written = answers[FILE]
    if isinstance(written, Unknown):
        raise ValueError(f"{FILE}: {written.reason}")
    try:
        # An empty file is taken for an empty object by Docker itself.
        body = json.loads(written) if written.strip() else {}
    except ValueError as error:
        return DockerConfiguration((), None, None, broken=f"it is not JSON: {error}")
    if not isinstance(body, dict):
        return DockerConfiguration((), None, None, broken="it is not a JSON object")
    return _configuration(body)


def _configuration(body: Mapping[str, object]) -> DockerConfiguration:
    runtimes, options, default = body.get("runtimes"), body.get("exec-opts"), body.get("default-runtime")
    words = [str(each) for each in options] if isinstance(options, list) else []
    drivers = [word.removeprefix(CGROUPS) for word in words if word.startswith(CGROUPS)]
    return DockerConfiguration(
        runtimes=tuple(sorted(map(str, runtimes))) if isinstance(runtimes, dict) else (),
        default_runtime=default if isinstance(default, str) else None,
        cgroup_driver=drivers[-1] if drivers else None,
    )


FACT: Fact[DockerConfiguration | None] = Fact("docker_configuration", ReadFiles((FILE,)), parse, absent=None)
