"""What was done, and what to do with it."""

from provisioner.model.facts import Unknown
from provisioner.model.outcome import Outcome, Planned, Removed, RolledBackTo
from provisioner.model.plan import Plan
from provisioner.model.release import Applied
from provisioner.model.report import Completion
from provisioner.planning.entrance import addresses, entrance, models_of
from provisioner.planning.several.merged import apart
from provisioner.views.endpoint import endpoint_lines
from provisioner.views.layout import Look, clipped, columns, count, duration, harmless, wrapped
from provisioner.views.plan import finding_lines, joined

NEXT = "`provision status` shows it, `provision logs -f` follows it, `provision down` removes it"

ANSWER_COLUMNS = 240
"""How much of the engine's answer is shown: enough to see that it speaks."""

SHORTEST_SPELL = 0.02
"""Seconds from the first token to the last below which they came in one piece, and no rate can be told."""


def outcome_view(outcome: Outcome, look: Look, seconds: float) -> str:
    """The end of `up`: where it listens, what it answered, how to use it; `seconds` is how long the whole run took."""
    blocks = [
        [*_headline(outcome, look, seconds), *_recovered(outcome.recovered, look)],
        _answers(outcome, look),
        finding_lines(outcome.report.findings, look),
        endpoint_lines(outcome.plan, look),
        [look.paint(line, "dim") for line in wrapped(look.commands(NEXT), look.width)],
    ]
    return joined(blocks)


def _headline(outcome: Outcome, look: Look, seconds: float) -> list[str]:
    good = outcome.report.exit_code == 0
    sign = look.paint(look.sign("✓", "ok"), "green", "bold") if good else look.paint(look.sign("✗", "x"), "red", "bold")
    how = "set up and proved" if outcome.changed else "nothing had to be done; proved again"
    how = f"{how} in {duration(seconds)}"
    places = _places(outcome.plan)
    if len(places) > 1:
        return [f"{sign} {how}", *(line for one in places for line in wrapped(one, look.width, "  ", "    "))]
    head = f"{sign} {look.paint(', '.join(places), 'bold')}"
    return [f"{head}  ({how})"] if columns(f"{head}  ({how})") <= look.width else [head, f"  ({how})"]


def _places(plan: Plan) -> list[str]:
    """Each model and its addresses; behind a gateway all have one."""
    found = entrance(plan)
    if found is not None and found.gated:
        return [f"{', '.join(harmless(one.model_name) for one in models_of(plan))} at {found.base_url}"]
    return [
        f"{harmless(part.services[0].model_name)} at {', '.join(addresses(part))}"
        for part in apart(plan)
        if part.services
    ]


def _answers(outcome: Outcome, look: Look) -> list[str]:
    """Of several engines each by its name."""
    services = outcome.observed.services
    named = len(services) > 1
    return [
        line for one in services for line in answer_lines(one.completion, look, one.name if named else "The engine")
    ]


def _took(applied: Applied | None) -> str:
    steps = applied.steps if applied else ()
    return f"in {duration(sum(step.seconds for step in steps))}, {count(len(steps), 'step')}"


def _recovered(sentence: str | None, look: Look) -> list[str]:
    return wrapped(f"An earlier run had not ended: {harmless(sentence)}", look.width, "  ") if sentence else []


def answer_lines(completion: Completion | Unknown, look: Look, who: str = "The engine") -> list[str]:
    """One chat answer of the engine, as it came, and how fast."""
    if isinstance(completion, Unknown):
        return wrapped(f"{who} gave no answer: {harmless(completion.reason)}", look.width, "  ")
    said = clipped(" ".join(harmless(completion.text).split()), ANSWER_COLUMNS)
    lines = wrapped(f"{who} answered: {said or '(nothing that can be printed)'}", look.width, "  ", "    ")
    return [*lines, look.paint(f"  ({pace(completion)})", "dim")]


def pace(completion: Completion) -> str:
    """How many tokens, the first after how long, and how fast they came from then on."""
    words = [count(completion.tokens, "token")]
    if completion.arrivals:
        words.append(f"the first after {duration(completion.arrivals[0])}")
    spell = completion.arrivals[-1] - completion.arrivals[0] if completion.arrivals else 0.0
    if len(completion.arrivals) > 1 and spell >= SHORTEST_SPELL:
        words.append(f"then {(len(completion.arrivals) - 1) / spell:,.0f} tokens/s")
    return ", ".join(words)


def key_view(key: str, key_file: str, look: Look) -> str:
    """The one time that a new key is shown."""
    kept = wrapped(f"It is shown this once; it is kept in {key_file}, which only its owner may read", look.width, "  ")
    return "\n".join([f"{look.paint('Your new key:', 'bold', 'yellow')} {key}", *kept])


def rendered_view(planned: Planned, folder: str, files: tuple[str, ...], look: Look) -> str:
    head = f"{look.paint(look.sign('✓', 'ok'), 'green')} {count(len(files), 'file')} in {folder}; nothing was started"
    return joined([[head, *(f"  {name}" for name in files)], finding_lines(planned.plan.findings, look)])


def removed_view(removed: Removed, look: Look) -> str:
    if removed.applied is None:
        head = "Nothing was in force; nothing had to be removed"
    elif removed.applied.ok:
        head = f"{look.paint(look.sign('✓', 'ok'), 'green')} everything that was set up is removed {_took(removed.applied)}"
    else:
        failed = [step for step in removed.applied.steps if step.result.startswith("failed")]
        head = f"{look.paint(look.sign('✗', 'x'), 'red')} not everything could be removed: " + "; ".join(
            f"{step.action}: {step.result}" for step in failed
        )
    return "\n".join(
        [
            head,
            *(
                line
                for kept in removed.kept
                for line in wrapped(look.commands(f"kept: {kept}"), look.width, "  ", "    ")
            ),
        ]
    )


def rollback_view(back: RolledBackTo, look: Look) -> str:
    good = back.report.exit_code == 0
    sign = look.paint(look.sign("✓", "ok"), "green") if good else look.paint(look.sign("✗", "x"), "red")
    before = f", instead of {back.previous[:12]}" if back.previous and back.previous != back.release else ""
    head = f"{sign} release {back.release[:12]} is in force{before}"
    return joined([[head], finding_lines(back.report.findings, look)])
