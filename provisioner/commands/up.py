"""`provision up`: the whole journey on this host."""

from provisioner.commands.options import DOCKER_FROM, WAIT, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from time import monotonic

    from provisioner.commands.wanted import spec
    from provisioner.workflows import host, releases

    began, wanted = monotonic(), spec(arguments)
    with screen.progress() as progress:
        if arguments.switch("prepare"):
            host.make_ready(wanted, arguments.one_of(DOCKER_FROM), arguments.state_dir, progress)
        outcome = releases.up(wanted, arguments.state_dir, progress, wait=arguments.number("wait") or 0)
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
        Example(
            "provision up --profile standard --target docker --prepare",
            "a bare server, Docker and driver included",
        ),
        Example("provision up --model ./qwen3-8b-q4_k_m.gguf --context 16k", "weights that are at hand"),
        Example(
            "provision up --profile standard --target docker --images /media/images",
            "images out of archives that `docker save` wrote elsewhere",
        ),
    ),
    options=(
        *WANTED,
        Option("--prepare", "first give the host what the plan stands on, as `provision prepare` does", kind="switch"),
        DOCKER_FROM,
        WAIT,
    ),
    run=run,
)
