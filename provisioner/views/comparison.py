"""Several plans side by side: one column each, one row a figure."""

from collections.abc import Callable, Sequence

from provisioner.model.outcome import Compared
from provisioner.model.plan import Plan
from provisioner.planning.several.merged import apart
from provisioner.views.layout import Look, clipped, columns, harmless, number, pace, padded, size

NARROWEST = 14


def comparison_view(compared: Sequence[Compared], look: Look) -> str:
    """As many columns as the width holds, the rest below in further blocks."""
    heads = [name for name, _ in ROWS]
    label = max(map(columns, heads))
    most = max(1, (look.width - label) // (NARROWEST + 2))
    blocks = [compared[start : start + most] for start in range(0, len(compared), most)]
    return "\n\n".join("\n".join(_block(block, label, look)) for block in blocks)


def _block(compared: Sequence[Compared], label: int, look: Look) -> list[str]:
    width = max(NARROWEST, (look.width - label) // len(compared) - 2)
    titles = "".join(f"  {padded(clipped(harmless(one.name), width), width)}" for one in compared)
    lines = [look.paint(f"{' ' * label}{titles}".rstrip(), "bold")]
    for head, figure in ROWS:
        cells = [clipped(harmless(_of_each(figure, one.plan)), width) for one in compared]
        lines.append(f"{padded(head, label)}{''.join(f'  {padded(cell, width)}' for cell in cells)}".rstrip())
    return lines


def _of_each(figure: Callable[[Plan], str], plan: Plan) -> str:
    """Of several models in their order; what is the same of all of them is said once."""
    found = [figure(part) for part in apart(plan)]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def _verdict(plan: Plan) -> str:
    return plan.verdict


def _model(plan: Plan) -> str:
    return plan.model.title if plan.model else "-"


def _precision(plan: Plan) -> str:
    return plan.model.precision if plan.model else "-"


def _spread(plan: Plan) -> str:
    spread = plan.parallel
    parts = (
        (spread.replicas, "copies"), (spread.tensor, "TP"), (spread.pipeline, "PP"), (spread.data, "DP"),
    )  # fmt: skip
    told = [f"{amount} {sign}" if sign == "copies" else f"{sign} {amount}" for amount, sign in parts if amount > 1]
    return " ".join([*told, *([f"{spread.nodes} nodes"] if spread.nodes > 1 else [])]) or "one device"


def _context(plan: Plan) -> str:
    return f"{number(plan.context)} tokens"


def _weights(plan: Plan) -> str:
    return size(plan.model.weights_bytes) if plan.model else "-"


def _fullest(plan: Plan) -> str:
    if plan.memory is None or not plan.memory.per_device:
        return "-"
    tightest = min(plan.memory.per_device, key=lambda device: device.free_bytes)
    used = tightest.budget_bytes - tightest.free_bytes
    return f"{size(used)} of {size(tightest.budget_bytes)}"


def _tokens(plan: Plan) -> str:
    return number(plan.memory.kv_tokens) if plan.memory else "-"


def _requests(plan: Plan) -> str:
    return number(plan.capacity.concurrent_at_context) if plan.capacity else "-"


def _users(plan: Plan) -> str:
    return number(plan.capacity.users) if plan.capacity else "-"


def _alone(plan: Plan) -> str:
    rate = plan.capacity.tokens_per_second if plan.capacity else None
    return _rate(rate)


def _together(plan: Plan) -> str:
    rate = plan.capacity.total_tokens_per_second if plan.capacity else None
    return _rate(rate)


def _rate(rate: float | None) -> str:
    return "-" if rate is None else f"about {pace(rate)}"


def _remedy(plan: Plan) -> str:
    changes = plan.cheapest_changes
    return changes[0].change if plan.verdict != "fits" and changes else "-"


ROWS: tuple[tuple[str, Callable[[Plan], str]], ...] = (
    ("verdict", _verdict),
    ("model", _model),
    ("precision", _precision),
    ("engine", lambda plan: plan.engine or "-"),
    ("spread", _spread),
    ("context", _context),
    ("weights", _weights),
    ("tightest device", _fullest),
    ("kv tokens", _tokens),
    ("requests, full", _requests),
    ("users", _users),
    ("tokens/s alone", _alone),
    ("tokens/s in all", _together),
    ("would fit", _remedy),
)
"""Requests are those that all fill their context; speeds are estimates."""
