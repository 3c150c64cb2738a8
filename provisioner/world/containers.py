"""Containers of a state, as the container engine describes them: which are there, how they are, what they said."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime

from provisioner.errors import RunFailed
from provisioner.model.facts import CannotAsk, NotThere
from provisioner.model.release import Running

TARGET = "docker"
COMPOSE = "compose.yaml"
MOST_LINES = 200_000
"""Of a log that is read whole: more are of no use to anybody who looks for what was said at the start."""
KEPT_LINES = 2000
TAKEN = re.compile(r"(\S+:\d+)(?:: bind: address already in use| failed: port is already allocated)")
"""In what the engine says of a container that it cannot start."""
KILLED = 137
"""The code of whoever was ended by SIGKILL: by the kernel for its memory, or by somebody."""
JUST_BEFORE = 10
"""Seconds before a container's end in which the kernel's choice has to lie to be its cause."""
STATE, PART, SERVICE = "provision.state", "provision.part", "com.docker.compose.service"


def rendered(state: str) -> bool:
    """Whether any release of this state was made for containers; where none was, nobody asks the container engine."""
    try:
        releases = os.listdir(f"{state}/releases")
    except OSError:
        return False
    return any(os.path.exists(f"{state}/releases/{one}/{COMPOSE}") for one in releases)


def silence(state: str) -> str:
    """Why nobody tells which containers of this state run; empty where the container engine answers, or none were made."""
    from provisioner.world import docker

    if not rendered(state):
        return ""
    try:
        docker.answer(("/_ping",))
    except (NotThere, CannotAsk) as error:
        return str(error)
    return ""


def running(state: str) -> tuple[Running, ...]:
    """Every container that was made for this state, those that have ended among them."""
    found = (_running(one) for one in _described(state))
    return tuple(sorted((one for one in found if one), key=lambda one: (one.service, one.started)))


def _described(state: str) -> Iterator[Mapping[str, object]]:
    from urllib.parse import quote  # `status` without containers asks nothing.

    wanted = quote(json.dumps({"label": [f"{STATE}={os.path.realpath(state)}"]}))
    listed = _json(f"/containers/json?all=1&filters={wanted}")
    for entry in listed if isinstance(listed, list) else ():
        described = _json(f"/containers/{entry.get('Id')}/json") if isinstance(entry, dict) else None
        if isinstance(described, dict):
            yield _with_its_cause(described)


def _with_its_cause(described: Mapping[str, object]) -> Mapping[str, object]:
    """Docker forgets why a container ended where it hears of the end before it hears of the kernel's choice; its events have both.

    It keeps the last 256 of them, minutes on a machine with many containers: whoever looks later hears the code alone.
    """
    state = _inside(described, "State")
    if state.get("ExitCode") != KILLED or state.get("OOMKilled") or not state.get("FinishedAt"):
        return described
    chosen = _chosen_by_the_kernel(str(described.get("Id")), _seconds(str(state["FinishedAt"])))
    return {**described, "State": {**state, "OOMKilled": chosen}}


def _chosen_by_the_kernel(container: str, ended: int) -> bool:
    """Whether the engine's events, of which it keeps the last few hundred, tell that memory ran out in it shortly before."""
    from urllib.parse import quote

    wanted = quote(json.dumps({"container": [container], "event": ["oom"]}))
    path = f"/events?since={ended - JUST_BEFORE}&until={min(time.time(), ended + JUST_BEFORE):.6f}&filters={wanted}"
    return bool(_text(path))


def _json(path: str) -> object:
    text = _text(path)
    return json.loads(text) if text else None


def _text(path: str) -> str:
    """Nothing where no engine answers: what it does not say is not there."""
    from provisioner.world import docker

    try:
        answer = docker.answer((path,))[path]
    except (NotThere, CannotAsk):
        return ""
    return answer if isinstance(answer, str) else ""


def _running(described: Mapping[str, object]) -> Running | None:
    state, labels = _inside(described, "State"), _inside(_inside(described, "Config"), "Labels")
    service = labels.get(SERVICE)
    if not isinstance(service, str):
        return None
    pid = state.get("Pid")
    return Running(
        service=service,
        digest="",
        target=TARGET,
        pid=pid if isinstance(pid, int) else 0,
        started=_seconds(str(state.get("StartedAt", ""))),
        state=_state(state),
        part=str(labels.get(PART, "")),
        ports=_ports(_inside(_inside(described, "HostConfig"), "PortBindings")),
    )


def _inside(described: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = described.get(name)
    return found if isinstance(found, dict) else {}


def _ports(bindings: Mapping[str, object]) -> tuple[int, ...]:
    """Ports of the host that lead into a container."""
    bound = (one for each in bindings.values() if isinstance(each, list) for one in each if isinstance(one, dict))
    return tuple(sorted(int(port) for one in bound for port in (str(one.get("HostPort", "")),) if port.isdigit()))


def _state(state: Mapping[str, object]) -> str:
    """The engine's word for it, and why it ended where it did."""
    word = str(state.get("Status", "unknown"))
    health = str(_inside(state, "Health").get("Status", ""))
    if word in ("exited", "restarting", "dead") and state.get("OOMKilled"):
        return f"{word}: out of memory"
    if word in ("created", "exited", "restarting", "dead") and (port := TAKEN.search(str(state.get("Error", "")))):
        return f"{word}: somebody else took its port, {port[1]}"
    if word in ("exited", "restarting", "dead"):
        return f"{word} with code {state.get('ExitCode')}"
    return f"{word}, {health}" if health in ("unhealthy", "starting") else word


def _seconds(moment: str) -> int:
    """Unix seconds of a time as the engine writes it, with nine digits behind the point."""
    try:
        return int(datetime.fromisoformat(f"{moment[:19]}+00:00").timestamp())
    except ValueError:
        return 0


def names(state: str) -> tuple[str, ...]:
    """The containers of this state that have written anything, or will."""
    return tuple(dict.fromkeys(one.service for one in running(state))) if rendered(state) else ()


def read(state: str, services: tuple[str, ...], lines: int, *, follow: bool) -> Iterator[str]:
    """The last lines of each; then, if wanted, what any of them writes, as it comes."""
    from queue import SimpleQueue
    from threading import Thread

    if len(services) == 1:
        yield from log(state, services[0], lines, follow=follow)
        return
    heard: SimpleQueue[tuple[str, str] | RunFailed | None] = SimpleQueue()

    def listen(service: str) -> None:
        try:
            for line in log(state, service, lines, follow=follow):
                heard.put((service, line))
        except RunFailed as error:
            heard.put(error)
        heard.put(None)

    for service in services:
        Thread(target=listen, args=(service,), daemon=True).start()
    ended = 0
    while ended < len(services):
        said = heard.get()
        if isinstance(said, RunFailed):
            raise said
        ended += said is None
        if said is not None:
            yield f"{said[0]}: {said[1]}"


def keep_logs(state: str) -> None:
    """The last of what each container wrote, beside the logs of other targets."""
    from provisioner.world import files

    for service in names(state):
        words = "\n".join(tail(state, service, KEPT_LINES))
        files.make_folder(f"{state}/logs", 0o700)
        files.write_whole(f"{state}/logs/{service}.log", f"{words}\n", 0o600)


def whole_log(state: str, service: str) -> str:
    """All that a container wrote since it was started last; nothing where it cannot be asked."""
    try:
        return "\n".join(log(state, service, MOST_LINES, follow=False, started=_started(state, service)))
    except RunFailed:
        return ""


def _started(state: str, service: str) -> int:
    return max((one.started for one in running(state) if one.service == service), default=0)


def tail(state: str, service: str, lines: int) -> tuple[str, ...]:
    """The last lines that a container wrote; nothing where it cannot be asked."""
    try:
        return tuple(log(state, service, lines, follow=False))
    except RunFailed:
        return ()


def log(state: str, service: str, lines: int, *, follow: bool, started: int = 0) -> Iterator[str]:
    """What a container writes, the last lines first to come; with `follow`, until it ends or nobody listens."""
    from docker.errors import DockerException

    from provisioner.world.images import client

    labels: dict[str, str | list[str] | bool] = {
        "label": [f"{STATE}={os.path.realpath(state)}", f"{SERVICE}={service}"]
    }
    try:
        with closing(client()) as engine:
            for container in engine.containers.list(all=True, filters=labels):
                written = container.logs(stream=True, follow=follow, tail=lines, since=started or None)
                yield from _lines(written)
    except (DockerException, OSError) as error:
        raise RunFailed(f"{service}: its log cannot be read: {error}", fix="docker ps -a") from error


def _lines(pieces: Iterator[bytes]) -> Iterator[str]:
    """Whole lines of what comes in pieces."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")
