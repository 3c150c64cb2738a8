"""What is in force, what the checks say of it, and what was done before."""

from time import localtime, strftime

from provisioner.model.facts import Unknown
from provisioner.model.learned import Reading
from provisioner.model.outcome import BesideStatus, Checked, ModelStatus, ServiceStatus, Status
from provisioner.model.plan import Loaded, Plan, Service
from provisioner.model.release import HistoryEntry
from provisioner.model.report import ServiceObserved
from provisioner.planning.entrance import base_url, entrance
from provisioner.views.endpoint import page_lines
from provisioner.views.layout import (
    Look,
    columns,
    count,
    duration,
    harmless,
    number,
    padded,
    remedy,
    size,
    table,
    wrapped,
)
from provisioner.views.outcome import pace
from provisioner.views.plan import finding_lines, joined

STATES = {
    "R": "running",
    "S": "running",
    "D": "running, waits for a device",
    "T": "stopped by a signal",
    "Z": "ended",
    "I": "running",
}
"""The kernel's letters for a process, in words."""

OUTCOMES = {"good": "green", "failed": "red", "rolled-back": "yellow", "interrupted": "yellow", "running": "cyan"}


def status_view(status: Status, look: Look) -> str:
    return joined(
        [
            _in_force(status, look),
            _service_lines(status, look),
            _entrance_lines(status, look),
            *(_model_lines(one, look, several=len(status.models) > 1) for one in status.models),
            _disk_lines(status, look),
            finding_lines(status.findings, look),
            _unsettled(status, look),
        ]
    )


def _in_force(status: Status, look: Look) -> list[str]:
    if status.release is None:
        return ["Nothing is in force here", *remedy("provision up", look, "  ")]
    plan = status.plan
    models = ", ".join(dict.fromkeys(f"{one.title} in {one.precision}" for one in plan.chosen)) if plan else ""
    what = f"{plan.profile}, {models}, target {plan.target}" if plan and models else "its plan cannot be read"
    whole = bool(status.services) and status.whole
    sign = look.paint(look.sign("✓", "ok"), "green") if whole else look.paint(look.sign("✗", "x"), "red")
    return wrapped(f"{sign} release {status.release[:12]}: {harmless(what)}", look.width, "", "  ")


def _service_lines(status: Status, look: Look) -> list[str]:
    if not status.services or status.plan is None:
        return []
    absent = "not known" if status.silence else "not there"
    rows = [
        ("service", "state", "process", "listens at", "serves"),
        *(_service_row(one, status.plan, absent) for one in status.services),
        *(_beside_row(one, absent) for one in status.beside),
    ]
    lines = table(rows, look)
    return [look.paint(lines[0], "dim"), *lines[1:]]


def _entrance_lines(status: Status, look: Look) -> list[str]:
    """Behind a gateway the engines' own addresses are of no use to people."""
    found = entrance(status.plan) if status.plan else None
    if found is None or not found.gated:
        return []
    trust = wrapped(f"with the certificate {found.authority} (`provision clients`)", look.width, "  ")
    return [f"{look.paint('Use it', 'bold')}  {found.base_url}", *trust, *page_lines(found, look)]


def _model_lines(one: ModelStatus, look: Look, *, several: bool) -> list[str]:
    """What was measured of a model, under its name where there are others."""
    blocks = [_memory_lines(one, look), _speed_lines(one, look)]
    if not any(blocks):
        return []
    name = one.plan.services[0].model_name
    return [*([look.paint(harmless(name), "bold")] if several else []), *joined(blocks).splitlines()]


def _memory_lines(one: ModelStatus, look: Look) -> list[str]:
    """Planned and measured beside each other, where the engine told anything at all."""
    if not any(part.starts for part in one.learned):
        return []
    rows = [("memory", "device", "planned", "measured"), *map(_memory_row, one.learned)]
    lines = table(rows, look)
    return [look.paint(lines[0], "dim"), *lines[1:]]


def _disk_lines(status: Status, look: Look) -> list[str]:
    if not status.weights_bytes:
        return []
    return wrapped(
        look.commands(f"{size(status.weights_bytes)} of weights on disk (`provision model list`)"), look.width
    )


def _speed_lines(one: ModelStatus, look: Look) -> list[str]:
    """What `bench` measured of the release in force."""
    if one.speed is None:
        return []
    from provisioner.views.speed import speed_lines

    return speed_lines(one.plan, one.speed, look)


def _memory_row(one: Reading) -> tuple[str, ...]:
    part = one.part
    measured = "not told" if one.measured_bytes is None else size(one.measured_bytes)
    return part.kind.component, harmless(part.device or f"each {part.kind.device}"), size(part.bytes), measured


def _service_row(one: ServiceStatus, plan: Plan, absent: str) -> tuple[str, ...]:
    service, running = one.service, one.running
    state = STATES.get(running.state, running.state) if running else absent
    models: tuple[Service | Loaded, ...] = (service, *service.further)
    serves = "; ".join(f"{each.model_name}, {number(each.context)} tokens × {each.slots}" for each in models)
    return (
        service.name,
        state,
        str(running.pid) if running and running.pid else "-",
        base_url(service, plan.hostname),
        harmless(serves),
    )


def _beside_row(one: BesideStatus, absent: str) -> tuple[str, ...]:
    running, container = one.running, one.container
    return (
        container.name,
        STATES.get(running.state, running.state) if running else absent,
        str(running.pid) if running and running.pid else "-",
        ", ".join(f"{port.host}:{port.port}" for port in container.published) or "inside only",
        container.kind,
    )


def _unsettled(status: Status, look: Look) -> list[str]:
    lines = []
    if status.holder:
        lines += wrapped(f"{look.paint('!', 'yellow')} running now: {harmless(status.holder)}", look.width, "", "  ")
    if status.unfinished:
        lines += wrapped(f"{look.paint('!', 'yellow')} {harmless(status.unfinished)}", look.width, "", "  ")
        lines += remedy("run `provision up` again; it finishes or undoes what was begun", look, "  ")
    return lines


def check_view(checked: Checked, look: Look) -> str:
    good = checked.report.exit_code == 0
    sign = look.paint(look.sign("✓", "ok"), "green") if good else look.paint(look.sign("✗", "x"), "red")
    verdict = "every check passed" if good else "not everything is as it should be"
    head = f"{sign} release {checked.release[:12] if checked.release else 'none'}: {verdict}"
    rows = [row for service in checked.observed.services for row in observed_rows(service)]
    return joined([[head], table(rows, look), finding_lines(checked.report.findings, look)])


def observed_rows(service: ServiceObserved) -> list[tuple[str, ...]]:
    """What one service answered, row by row."""
    state = STATES.get(service.process_state or "", service.process_state) or "not there"
    completion = service.completion
    answer = (
        f"unknown: {completion.reason}" if isinstance(completion, Unknown) else completion.error or pace(completion)
    )
    rows = [
        ("process", f"{service.pid}, {state}" if service.pid else state),
        ("health", _said(service.health)),
        ("models", _said(service.models)),
        ("context", _said(service.context)),
        ("completion", answer),
        ("without a key", _said(service.status_without_key)),
        ("with a wrong key", _said(service.status_with_wrong_key)),
    ]
    return [(service.name if not place else "", name, harmless(words)) for place, (name, words) in enumerate(rows)]


def _said(answer: int | tuple[str, ...] | Unknown) -> str:
    if isinstance(answer, Unknown):
        return f"unknown: {answer.reason}"
    return ", ".join(answer) if isinstance(answer, tuple) else str(answer)


def history_view(entries: tuple[HistoryEntry, ...], look: Look) -> str:
    if not entries:
        return "Nothing was done here yet"
    rows = [("run", "when", "what", "release", "took", "outcome"), *(_entry_row(entry) for entry in entries)]
    lines = table(rows, look, "")
    widths = [columns(line) for line in lines]
    if max(widths) > look.width or len(lines) != len(rows):
        return "\n".join(_narrow(entry, look) for entry in entries)
    coloured = [_coloured(line, entry, look) for line, entry in zip(lines[1:], entries, strict=True)]
    return "\n".join([look.paint(lines[0], "dim"), *coloured])


def _entry_row(entry: HistoryEntry) -> tuple[str, ...]:
    release = entry.release[:12] if entry.release else "-"
    findings = () if isinstance(entry.findings, Unknown) else entry.findings
    errors = sum(finding.level == "error" for finding in findings)
    outcome = entry.outcome + (f", {count(errors, 'finding')}" if errors else "")
    return str(entry.run), when(entry.started_unix), entry.verb, release, _took(entry), outcome


def _took(entry: HistoryEntry) -> str:
    """The start and the end are known in whole seconds."""
    if entry.ended_unix is None:
        return "-"
    seconds = entry.ended_unix - entry.started_unix
    return duration(seconds) if seconds >= 1 else "< 1 s"


def _coloured(line: str, entry: HistoryEntry, look: Look) -> str:
    style = OUTCOMES.get(entry.outcome)
    head, found, tail = line.rpartition(entry.outcome)
    return f"{head}{look.paint(found, style)}{tail}" if style else line


def _narrow(entry: HistoryEntry, look: Look) -> str:
    run, moment, verb, release, _, outcome = _entry_row(entry)
    return "\n".join([f"{padded(run, 4)}{moment}", *wrapped(f"{verb} {release}: {outcome}", look.width, "    ")])


def when(unix: int) -> str:
    """A moment in this machine's own time zone."""
    return strftime("%Y-%m-%d %H:%M:%S", localtime(unix))
