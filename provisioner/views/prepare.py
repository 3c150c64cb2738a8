"""What `prepare` did to a host, or would do, for people and as a document."""

from provisioner.documents import Json, encode
from provisioner.model.host import HostSteps, Prepared, TaskDone
from provisioner.planning.host.host_steps import variables
from provisioner.views.layout import Look, count, harmless, wrapped
from provisioner.views.plan import finding_lines, joined


def prepare_view(prepared: Prepared, look: Look) -> str:
    """The steps with their reasons, the tasks of each round, and what is left to others."""
    return joined([
        wrapped(_verdict(prepared, look), look.width, "", "  "),
        [line for step in prepared.steps for line in wrapped(f"{step.title}: {harmless(step.because)}", look.width, "  - ", "    ")],
        [line for number, tasks in enumerate(prepared.rounds, 1) for line in _round(number, tasks, prepared, look)],
        finding_lines(prepared.findings, look),
    ])  # fmt: skip


def _verdict(prepared: Prepared, look: Look) -> str:
    host, number = harmless(prepared.hostname), sum(task.changed for tasks in prepared.rounds for task in tasks)
    if any(finding.level == "error" for finding in prepared.findings):
        return f"{look.paint(look.sign('✗', 'x'), 'red')} {host}: not prepared"
    if prepared.only_checked:
        told = f"{count(number, 'task')} would change something" if number else "nothing would change"
        return f"{host}: {told}"
    told = f"{count(number, 'task')} changed something" if number else "nothing had to be changed"
    return f"{look.paint(look.sign('✓', 'ok'), 'green')} {host}: {told}"


def _round(number: int, tasks: tuple[TaskDone, ...], prepared: Prepared, look: Look) -> list[str]:
    head = (
        [look.paint(f"Round {number}", "bold")]
        if len(prepared.rounds) > 1 and any(task.changed for task in tasks)
        else []
    )
    return [*head, *(f"  {task.step}: {harmless(task.name)}" for task in tasks if task.changed)]


def prepared_document(prepared: Prepared) -> dict[str, Json]:
    return {
        "schema": "provision.prepared/1",
        "hostname": prepared.hostname,
        "checked_only": prepared.only_checked,
        "changed": prepared.changed,
        "steps": [{"role": step.role, "title": step.title, "because": step.because} for step in prepared.steps],
        "tasks": [
            {"round": number, "role": task.step, "task": task.name}
            for number, tasks in enumerate(prepared.rounds, 1)
            for task in tasks
            if task.changed
        ],
        "variables": encode(variables(HostSteps(prepared.steps, ()))),
        "findings": encode(prepared.findings),
    }
