"""`provision upgrade`: another release instead of the one in force, if it is no slower."""

from provisioner.commands.options import WAIT, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput


def run(arguments: Arguments, screen: Screen) -> int:
    from time import monotonic

    from provisioner.commands.wanted import spec
    from provisioner.model.upgrading import Terms
    from provisioner.workflows import releases

    began = monotonic()
    terms = Terms(_tolerance(arguments), arguments.switch("accept_slower"))
    with screen.progress() as progress:
        upgraded = releases.upgrade(
            spec(arguments), arguments.state_dir, terms, progress, wait=arguments.number("wait") or 0
        )
    if screen.json:
        from provisioner.views.documents import upgrade_document

        screen.document(upgrade_document(upgraded))
    else:
        from provisioner.views.speed import upgrade_view

        screen.show(upgrade_view(upgraded, screen.look, monotonic() - began))
    return upgraded.outcome.report.exit_code


def _tolerance(arguments: Arguments) -> float | None:
    """A share; as it is typed it is a percentage."""
    percent = arguments.number("tolerance")
    if percent is not None and not 0 <= percent <= 100:
        raise BadInput(f"--tolerance {percent}: no percentage", fix="a number from 0 to 100")
    return None if percent is None else percent / 100


COMMAND = Command(
    description="Show what differs from the release in force, keep what people wrote, and put the new one in force. It is checked as by `up`, and "
    "measured: a release that fails, or is slower than is tolerated, gives way to the one before by itself.",
    examples=(
        Example("provision upgrade", "what this version plans, instead of what is in force"),
        Example("provision upgrade --profile standard --context 32k", "all options of `up`"),
        Example("provision upgrade --profile plus --accept-slower", "a larger model, whatever it costs"),
    ),
    options=(
        *WANTED,
        Option(
            "--tolerance",
            "how much slower it may be, in percent; what the profile says unless given",
            "PERCENT",
            kind="number",
        ),
        Option("--accept-slower", "keep it however slow it is", kind="switch"),
        WAIT,
    ),
    run=run,
)
