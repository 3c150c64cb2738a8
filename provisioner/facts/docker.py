"""The Docker engine, as its own socket describes it."""

import json
from collections.abc import Mapping

from provisioner.model.facts import Answers, AskDocker, ContainerEngine, Fact, Unknown

VERSION, INFO = "/version", "/info"
PODMAN = "Podman Engine"


def parse(answers: Answers) -> ContainerEngine:
    """From `GET /version` and `GET /info`."""
    version, info = _object(answers, VERSION), _object(answers, INFO)
    runtimes, options = info.get("Runtimes"), info.get("SecurityOptions")
    return ContainerEngine(
        version=_word(version, "Version") or "unknown",
        api_version=_word(version, "ApiVersion") or "unknown",
        runtimes=tuple(sorted(str(name) for name in runtimes)) if isinstance(runtimes, dict) else (),
        rootless=isinstance(options, list) and any("rootless" in str(option) for option in options),
        cgroup_driver=_word(info, "CgroupDriver"),
        storage_driver=_word(info, "Driver"),
        root=_word(info, "DockerRootDir"),
        podman=_is_podman(version),
    )


def _is_podman(version: Mapping[str, object]) -> bool:
    """Podman lists itself as the first part of what answers: containers/podman, pkg/api/handlers/compat/version.go."""
    parts = version.get("Components")
    return isinstance(parts, list) and any(isinstance(one, dict) and one.get("Name") == PODMAN for one in parts)


def _object(answers: Answers, path: str) -> Mapping[str, object]:
    answer = answers[path]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    body = json.loads(answer)
    if not isinstance(body, dict):
        raise ValueError(f"{path} answered {type(body).__name__}, expected an object")
    return body


def _word(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


FACT: Fact[ContainerEngine | None] = Fact("docker", AskDocker((VERSION, INFO)), parse, absent=None)
