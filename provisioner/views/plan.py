"""A plan as people read it: the machine, the verdict, where the memory goes, the decisions, what will be done."""

import shlex

from provisioner.model.outcome import Planned
from provisioner.model.plan import Change, DeviceBudget, Finding, MemoryBudget, Plan
from provisioner.planning.entrance import addresses, entrance
from provisioner.planning.several.merged import apart
from provisioner.views.layout import Look, columns, count, harmless, meter, number, pace, remedy, size, table, wrapped
from provisioner.views.machine import machine_lines

REJECTED_SHOWN = 2
"""How many rejected options a plan shows unless all are asked for; the best come first."""

NOT_STARTED = ("planned-only", "unpublished", "image")
"""Findings of plans that `up` does not execute: where there are no actions, something else is left to do."""

PARTS = (("W", "weights"), ("K", "kv cache"), ("A", "activations"), ("O", "overhead"))


def plan_view(planned: Planned, look: Look, *, explain: bool = False) -> str:
    """All of it, and the actions as they would be executed."""
    plan = planned.plan
    blocks = [
        machine_lines(planned.facts, look),
        verdict_lines(plan, look),
        budget_lines(plan.memory, look, several=bool(plan.models)),
        decision_lines(plan, look, explain=explain),
        finding_lines(tuple(one for one in plan.findings if one not in _reasons(plan)), look),
        change_lines(plan, look),
        action_lines(planned, look),
    ]
    return joined(blocks)


def preview(planned: Planned, look: Look) -> str:
    """What a run shows before it begins: the steps themselves follow."""
    plan = planned.plan
    blocks = [
        machine_lines(planned.facts, look),
        verdict_lines(plan, look),
        budget_lines(plan.memory, look, several=bool(plan.models)),
        finding_lines(plan.findings, look),
    ]
    return joined(blocks) + "\n"


def joined(blocks: list[list[str]]) -> str:
    """Blocks of lines, one empty line between."""
    return "\n\n".join("\n".join(block) for block in blocks if block)


def verdict_lines(plan: Plan, look: Look) -> list[str]:
    if plan.verdict != "fits":
        head = look.paint(f"{look.sign('✗', 'x')} refused", "bold", "red")
        fixes = [line for one in _reasons(plan) for line in fix_lines(one, look, "  ")]
        return [f"{head}  {plan.profile}", *wrapped(harmless(plan.binding), look.width, "  "), *fixes]
    if plan.models:
        return [
            _fits_head(plan, look),
            *(line for part in apart(plan) for line in _one_of_several(part, look)),
            *_door(plan, look),
        ]
    model = plan.model
    what = f"{model.title} in {model.precision}" if model else plan.profile
    words = [
        what,
        f"on {plan.engine}" if plan.engine else "",
        f"target {plan.target}" if plan.target else "",
        _spread(plan),
    ]
    serves = [f"{number(plan.context)} tokens of context"]
    if plan.capacity:
        serves.append(f"{count(plan.capacity.concurrent_at_context, 'request')} at a time")
        if plan.capacity.tokens_per_second is not None:
            serves.append(f"about {pace(plan.capacity.tokens_per_second)} tokens/s ({plan.capacity.basis})")
    lines = wrapped(harmless(", ".join(word for word in words if word)), look.width, "  ")
    return [_fits_head(plan, look), *lines, *wrapped(harmless(", ".join(serves)), look.width, "  ")]


def _fits_head(plan: Plan, look: Look) -> str:
    ready = not any(finding.level == "error" for finding in plan.findings)
    head = look.paint(f"{look.sign('✓', 'ok')} fits", "bold", "green")
    rate = plan.capacity.tokens_per_second if plan.capacity else None
    if rate is not None and any(finding.id == "speed" for finding in plan.findings):
        head = look.paint(f"{look.sign('!', '!')} fits, at {pace(rate)} tokens/s", "bold", "yellow")
    if not ready:
        head = look.paint(f"{look.sign('✗', 'x')} fits, but not yet", "bold", "red")
    return f"{head}  {plan.profile}"


def _one_of_several(plan: Plan, look: Look) -> list[str]:
    """By the name that requests have for it, and where they go if no gateway stands before all."""
    model, memory, capacity = plan.model, plan.memory, plan.capacity
    budgets = memory.per_device if memory else ()
    words = [
        f"{model.title} in {model.precision}" if model else plan.profile,
        f"on {plan.engine}",
        ", ".join(budget.device for budget in budgets if budget.device != "host") or "host",
        _spread(plan),
        f"{number(plan.context)} tokens of context",
        f"{count(capacity.concurrent_at_context, 'request')} at a time" if capacity else "",
        f"{number(memory.kv_tokens)} tokens fit its kv cache" if memory else "",
    ]
    name = look.paint(harmless(plan.services[0].model_name), "bold")
    where = "" if _gated(plan) else f" at {', '.join(addresses(plan))}"
    told = wrapped(harmless(", ".join(word for word in words if word)), look.width, "    ")
    return [*wrapped(f"{name}{where}", look.width, "  ", "    "), *told]


def _door(plan: Plan, look: Look) -> list[str]:
    """One address for all models."""
    if not _gated(plan):
        return []
    return wrapped(f"{addresses(plan)[0]} leads to each of them: a request names its model", look.width, "  ")


def _gated(plan: Plan) -> bool:
    found = entrance(plan)
    return found is not None and found.gated


def _reasons(plan: Plan) -> tuple[Finding, ...]:
    """The findings that say what the verdict says already."""
    return tuple(one for one in plan.findings if plan.verdict != "fits" and one.message == plan.binding)


def _spread(plan: Plan) -> str:
    spread = plan.parallel
    parts = (
        (spread.tensor, "tensor parallel"),
        (spread.pipeline, "pipeline parallel"),
        (spread.data, "data parallel"),
        (spread.replicas, "replicas"),
        (spread.nodes, "nodes"),
    )
    return ", ".join(f"{amount} × {name}" for amount, name in parts if amount > 1)


def budget_lines(memory: MemoryBudget | None, look: Look, *, several: bool = False) -> list[str]:
    """One bar for each device, equal ones together, and the legend with amounts; of several models each has a cache of its own."""
    if memory is None or not memory.per_device:
        return []
    lines = [look.paint("Memory", "bold")]
    alike: dict[tuple[int, ...], list[DeviceBudget]] = {}
    for device in memory.per_device:
        alike.setdefault((device.budget_bytes, *_amounts(device)), []).append(device)
    names = {key: _device_name(devices) for key, devices in alike.items()}
    width = max(map(columns, names.values()))
    for key, devices in alike.items():
        lines += _bar(devices[0], names[key], width, look)
    kv = f"{number(memory.kv_tokens)} tokens fit the kv cache, {size(memory.kv_bytes_per_token)} each; "
    told = f"{'' if several else kv}{size(memory.disk_bytes)} on disk"
    return [*lines, *(look.paint(line, "dim") for line in wrapped(told, look.width, "  "))]


def _amounts(device: DeviceBudget) -> tuple[int, int, int, int]:
    return device.weights_bytes, device.kv_cache_bytes, device.activation_bytes, device.overhead_bytes


def _device_name(devices: list[DeviceBudget]) -> str:
    first = devices[0].device
    return harmless(first if len(devices) == 1 else f"{len(devices)} × {first} … {devices[-1].device}")


def _bar(device: DeviceBudget, name: str, width: int, look: Look) -> list[str]:
    amounts = _amounts(device)
    used = sum(amounts)
    over = used - device.budget_bytes
    tail = f"{size(used)} of {size(device.budget_bytes)}"
    room = look.width - 2 - width - 2 - 2 - columns(tail)
    parts = tuple(zip(amounts, (letter for letter, _ in PARTS), strict=True))
    bar = meter(parts, max(used, device.budget_bytes), max(min(room, 60), 10), look)
    legend = [
        f"{_key(letter, look)} {name} {size(amount)}"
        for (letter, name), amount in zip(PARTS, amounts, strict=True)
        if amount
    ]
    left = (
        f"{look.sign('·', '.')} free {size(device.budget_bytes - used)}"
        if over <= 0
        else look.paint(f"over by {size(over)}", "red", "bold")
    )
    head = f"  {name}{' ' * (width - columns(name))}  {bar}  "
    first = (
        [head + tail]
        if room >= 10
        else [f"  {name}  {tail}", f"  {meter(parts, max(used, device.budget_bytes), look.width - 4, look)}"]
    )
    return [*first, *_flowed([*legend, left], look)]


def _key(letter: str, look: Look) -> str:
    """The sign of a part as the bar shows it."""
    return meter(((1, letter),), 1, 1, look)


def _flowed(items: list[str], look: Look) -> list[str]:
    """Items side by side, as many as a line holds; an item is never broken."""
    lines, line, used = [], "", 0
    for item in items:
        wide = columns(item)
        if line and used + 3 + wide > look.width:
            lines.append(line)
            line, used = "", 0
        line, used = (f"{line}   {item}", used + 3 + wide) if line else (f"    {item}", 4 + wide)
    return [*lines, line]


def decision_lines(plan: Plan, look: Look, *, explain: bool) -> list[str]:
    if not plan.decisions:
        return []
    lines = [look.paint("Decisions", "bold")]
    width = max(columns(decision.subject) for decision in plan.decisions)
    indent = " " * (width + 4) if look.width - width >= 40 else "    "
    for decision in plan.decisions:
        choice = harmless(decision.choice)
        text = wrapped(f"{choice} — {harmless(decision.because)}", look.width, indent)
        head = f"  {decision.subject:{width}}  "
        lines += [head + text[0].strip(), *text[1:]] if len(head) == len(indent) else [head.rstrip(), *text]
        shown = decision.rejected if explain else decision.rejected[:REJECTED_SHOWN]
        for one in shown:
            said = wrapped(f"not {harmless(one.option)}: {harmless(one.reason)}", look.width, indent, indent + "  ")
            lines += [look.paint(line, "dim") for line in said]
        hidden = len(decision.rejected) - len(shown)
        if hidden:
            lines.append(look.paint(f"{indent}and {count(hidden, 'other')}: `--explain`", "dim"))
    return lines


def finding_lines(findings: tuple[Finding, ...], look: Look) -> list[str]:
    """All of them, the gravest first."""
    if not findings:
        return []
    lines = [look.paint("Findings", "bold")]
    for level, sign, plain, style in (
        ("error", "✗", "x", "red"),
        ("warning", "!", "!", "yellow"),
        ("note", "·", "-", "dim"),
    ):
        for finding in findings:
            if finding.level == level:
                lines += _finding(finding, look.paint(look.sign(sign, plain), style), look)
    return lines


def _finding(finding: Finding, sign: str, look: Look) -> list[str]:
    text = wrapped(f"{harmless(finding.message)} [{finding.id}]", look.width, "    ")
    return [f"  {sign} {text[0][4:]}", *text[1:], *fix_lines(finding, look, "    ")]


def fix_lines(finding: Finding, look: Look, indent: str) -> list[str]:
    """The remedy of a finding, if it has one."""
    return [look.paint(line, "green") for line in remedy(finding.fix, look, indent)] if finding.fix else []


def change_lines(plan: Plan, look: Look) -> list[str]:
    """The cheapest changes that would fit: as flags where there are some, in words where not."""
    if plan.verdict == "fits" or not plan.cheapest_changes:
        return []
    rows = [
        (harmless(shlex.join(one.flags)), f"{harmless(one.change)}: {harmless(one.effect)}")
        if one.flags
        else (harmless(one.change), harmless(f"{one.effect}{_shown_by(one)}"))
        for one in plan.cheapest_changes
    ]
    return [look.paint("What would fit", "bold"), *table(rows, look)]


def _shown_by(change: Change) -> str:
    return f" (`plan --what-if='{change.what_if}'`)" if change.what_if else ""


def action_lines(planned: Planned, look: Look) -> list[str]:
    if planned.plan.verdict != "fits":
        return []
    if not planned.actions and any(one.id in NOT_STARTED or one.level == "error" for one in planned.plan.findings):
        return []
    if not planned.actions:
        said = wrapped("Nothing is left to do: everything stands as planned", look.width)
        return [look.paint(line, "bold") for line in said]
    width = len(str(len(planned.actions)))
    lines = [look.paint("What `provision up` would do, with the same options", "bold")]
    return [
        *lines,
        *(f"  {place:>{width}}. {harmless(str(action))}" for place, action in enumerate(planned.actions, 1)),
    ]
