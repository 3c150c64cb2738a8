"""Runs our playbooks on this host with ansible-runner, and tells what each task did."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping

from provisioner.errors import Refused
from provisioner.model.host import TaskDone
from provisioner.world.files import data_path

PLAYBOOK = "host.yml"
SYSTEM_PYTHON = "/usr/bin/python3"
"""Its packages of apt and dpkg are the system's own; ours runs in an environment of its own."""
FIX = f"{sys.executable} -m pip install 'provision-appliance[host]'"
STARTED, OK, SKIPPED = "playbook_on_task_start", "runner_on_ok", "runner_on_skipped"
FAILED = ("runner_on_failed", "runner_on_unreachable")

Event = Mapping[str, object]


def command(variables: str, check: bool) -> str:
    """The line that does the same by hand."""
    playbook = data_path("playbooks", PLAYBOOK)
    extra = " --check --diff" if check else ""
    return f"ansible-playbook --connection local --inventory localhost, --extra-vars @{variables}{extra} {playbook}"


def insist_on_ansible() -> None:
    """Refuse where it is not installed: it is an extra of this package."""
    from importlib.util import find_spec

    if not find_spec("ansible") or not find_spec("ansible_runner"):
        raise Refused("ansible-core and ansible-runner are not installed here", fix=FIX)
    if not os.path.exists(SYSTEM_PYTHON):
        raise Refused(f"{SYSTEM_PYTHON} is not there, and the playbooks run in it", fix="apt-get install python3")


def play(variables: Mapping[str, object], check: bool) -> tuple[TaskDone, ...]:
    """Run the playbook once: the tasks that changed something, or would, and those that failed."""
    import ansible_runner

    listener = _Listener(check)
    with tempfile.TemporaryDirectory(prefix="provision-ansible-") as folder:
        path = os.path.join(folder, "host.json")
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(variables, stream, indent=2)
        ansible_runner.run(
            private_data_dir=folder,
            playbook=data_path("playbooks", PLAYBOOK),
            inventory={"all": {"hosts": {"localhost": _local()}}},
            cmdline=f"--extra-vars @{path}{' --check --diff' if check else ''}",
            envvars=_environment(folder),
            event_handler=listener.hear,
            quiet=True,
        )
    return listener.ended()


def _local() -> dict[str, str]:
    return {"ansible_connection": "local", "ansible_python_interpreter": SYSTEM_PYTHON}


def _environment(folder: str) -> dict[str, str]:
    """Nothing of the user's own settings, and nothing left in their home."""
    return {
        "ANSIBLE_CONFIG": os.path.join(folder, "none.cfg"),
        "ANSIBLE_HOME": os.path.join(folder, "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_REMOTE_TMP": os.path.join(folder, "remote"),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]),
    }


class _Listener:
    """Keeps what changed or failed; the runner hands it one event after the other, from the same thread."""

    def __init__(self, check: bool) -> None:
        self._check = check
        self._handlers: set[object] = set()
        self._done: list[TaskDone] = []
        self._played = False
        self._words = ""

    def hear(self, event: Event) -> bool:
        """True keeps the event in the runner's own record, which goes with its folder."""
        kind, data = event.get("event"), event.get("event_data")
        if isinstance(data, dict):
            self._take(str(kind), data)
        self._words = str(event.get("stdout") or self._words)
        return True

    def _take(self, kind: str, data: Event) -> None:
        self._played |= kind == "playbook_on_stats"
        result = data.get("res")
        known = result if isinstance(result, dict) else {}
        if kind == STARTED and data.get("is_conditional"):  # So the runner marks a handler.
            self._handlers.add(data.get("task_uuid"))
        elif kind in FAILED and not data.get("ignore_errors"):
            self._keep(data, changed=False, failure=_reason(known))
        elif kind == OK and known.get("changed"):
            self._keep(data, changed=True)
        elif kind == SKIPPED and self._check and data.get("task_uuid") in self._handlers:
            # What a change brings with it, such as a restart, is not tried in a check: it would run.
            self._keep(data, changed=True)

    def _keep(self, data: Event, changed: bool, failure: str = "") -> None:
        self._done.append(TaskDone(str(data.get("role") or ""), str(data.get("task") or ""), changed, failure))

    def ended(self) -> tuple[TaskDone, ...]:
        """A playbook that was not played to its end, and says of no task why, has failed as a whole."""
        if not self._played and not any(task.failure for task in self._done):
            self._done.append(
                TaskDone("", "the playbook", changed=False, failure=self._words.strip() or "it did not start")
            )
        return tuple(self._done)


def _reason(result: Mapping[str, object]) -> str:
    """The module's own words; of a loop, those of the first item that failed."""
    items = result.get("results")
    failed = (
        [each for each in items if isinstance(each, dict) and each.get("failed")] if isinstance(items, list) else []
    )
    told = (failed[0] if failed else result).get("msg")
    more = (failed[0] if failed else result).get("stderr")
    return " ".join(str(part).strip() for part in (told, more) if part) or "no reason was given"
