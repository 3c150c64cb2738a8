"""What a playbook's events say: tasks that changed something, what they bring with them, and the first failure with its reason."""

from collections.abc import Mapping

from provisioner.model.host import TaskDone
from provisioner.world.ansible import _Listener, command

OK, SKIPPED, STARTED, FAILED = "runner_on_ok", "runner_on_skipped", "playbook_on_task_start", "runner_on_failed"
END: Mapping[str, object] = {"event": "playbook_on_stats", "event_data": {}}


def event(kind: str, task: str, **data: object) -> Mapping[str, object]:
    return {"event": kind, "event_data": {"role": "firewall", "task": task, "task_uuid": task, **data}}


def heard(*events: Mapping[str, object], check: bool = False) -> tuple[TaskDone, ...]:
    listener = _Listener(check)
    for each in events:
        listener.hear(each)
    return listener.ended()


def test_only_what_changed_is_kept() -> None:
    done = heard(
        event(OK, "a", res={"changed": False}), event(OK, "b", res={"changed": True}), event(SKIPPED, "c"), END
    )
    assert done == (TaskDone("firewall", "b", changed=True),)


def test_a_check_tells_the_restart_that_it_does_not_try() -> None:
    handler = (event(STARTED, "load", is_conditional=True), event(SKIPPED, "load"), event(SKIPPED, "other"), END)
    assert heard(*handler, check=True) == (TaskDone("firewall", "load", changed=True),)
    assert heard(*handler) == ()


def test_a_failure_has_the_module_s_words() -> None:
    one = event(FAILED, "a", res={"msg": "no package", "stderr": "E: gone"})
    assert heard(one, END)[0].failure == "no package E: gone"
    loop = event(
        FAILED,
        "b",
        res={"msg": "One or more items failed", "results": [{"msg": "fine"}, {"failed": True, "msg": "bad"}]},
    )
    assert heard(loop, END)[0].failure == "bad"
    assert heard(event(FAILED, "c", ignore_errors=True, res={}), END) == ()


def test_a_playbook_that_did_not_start_has_failed() -> None:
    (failed,) = heard({"event": "error", "stdout": "ERROR! the playbook could not be found"})
    assert "could not be found" in failed.failure


def test_the_line_by_hand_names_the_variables() -> None:
    assert command("host.json", check=True).startswith(
        "ansible-playbook --connection local --inventory localhost, --extra-vars @host.json --check --diff /"
    )
