"""`provision logs`: what the services wrote."""

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput
from provisioner.views.layout import harmless


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import looks

    follow = arguments.switch("follow")
    if follow and screen.json:
        raise BadInput("`--follow` never ends, and `--json` is one document", fix="leave out one of them")
    lines = looks.logs(arguments.state_dir, arguments.text("service"), follow, arguments.number("lines") or 100)
    if screen.json:
        screen.document({"schema": "provision.logs/1", "lines": list(lines)})
        return 0
    try:
        for line in lines:
            if not screen.show(harmless(line) if screen.terminal else line):
                break
    except KeyboardInterrupt:
        if not follow:
            raise
    return 0


COMMAND = Command(
    description="Show the last lines that the services wrote; with `--follow`, also what they write from now on.",
    examples=(
        Example("provision logs -f", "follow all services"),
        Example("provision logs llm --lines 500", "one service, more of it"),
    ),
    options=(
        Option("SERVICE", "the service; all of them unless given", kind="text"),
        Option("--follow", "keep showing what is written, until Ctrl-C", short="-f", kind="switch"),
        Option("--lines", "how many of the last lines to show; 100 unless given", "N", short="-n", kind="number"),
    ),
    run=run,
)
