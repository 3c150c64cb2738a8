"""`provision render`: the release folder, applied by nobody."""

import os

from provisioner.commands.options import HARDWARE, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.commands.wanted import spec
    from provisioner.workflows import plans

    folder = arguments.text("output")
    if not folder:
        raise BadInput("`provision render` needs a folder to write to", fix="name one: `provision render -o release`")
    folder = os.path.abspath(folder)
    planned = plans.render(spec(arguments), arguments.text("hardware"), folder, arguments.state_dir)
    files = tuple(
        sorted(os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names)
    )
    if screen.json:
        from provisioner.views.documents import rendered_document

        screen.document(rendered_document(planned, folder, files))
    else:
        from provisioner.views.outcome import rendered_view

        screen.show(rendered_view(planned, folder, files, screen.look))
    return 0


COMMAND = Command(
    description="Plan, and write the complete release folder: what each service runs with, as files that a person can read, keep and apply by hand.",
    examples=(Example("provision render --profile standard -o release", "the files that `up` would put in force"),),
    options=(
        Option(
            "--output",
            "the folder to write; it must not exist, or be empty",
            "DIR",
            short="-o",
            suggestions=("<folder>",),
        ),
        *WANTED,
        HARDWARE,
    ),
    run=run,
)
