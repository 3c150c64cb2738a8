"""`provision up`: the whole journey on this host."""

from provisioner.commands.options import WAIT, WANTED, Arguments, Command, Example
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from time import monotonic

    from provisioner import workflows
    from provisioner.commands.wanted import spec

    began = monotonic()
    with screen.progress() as progress:
        outcome = workflows.up(spec(arguments), arguments.state_dir, progress, wait=arguments.number("wait") or 0)
    if screen.json:
        from provisioner.views.documents import applied_document

        screen.document(applied_document(outcome))
        return outcome.report.exit_code
    from provisioner.views.outcome import key_view, outcome_view

    screen.show(outcome_view(outcome, screen.look, monotonic() - began))
    if outcome.new_key and outcome.plan.services:
        screen.note(key_view(outcome.new_key, outcome.plan.services[0].key_file, screen.error_look))
    return outcome.report.exit_code


COMMAND = Command(
    description="Detect, plan, apply and prove: ends with an OpenAI-compatible endpoint behind a key that has answered a real question. "
    "Run again, it changes nothing. A release that fails its checks is taken back, and the last good one serves again.",
    examples=(
        Example("provision up --profile demo", "a tiny model made on the spot: no GPU, no network"),
        Example("provision up --profile standard", "the same as `provision --profile standard`"),
        Example("provision up --model ./qwen3-8b-q4_k_m.gguf --context 16k", "weights that are at hand"),
    ),
    options=(*WANTED, WAIT),
    run=run,
)
