"""`provision status`: what is in force, and whether it runs."""

from provisioner.commands.options import Arguments, Command, Example
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import looks

    status = looks.status(arguments.state_dir)
    if screen.json:
        from provisioner.views.documents import status_document

        screen.document(status_document(status))
    else:
        from provisioner.views.status import status_view

        screen.show(status_view(status, screen.look))
    return 1 if any(service.running is None for service in status.services) else 0


COMMAND = Command(
    description="Show the release in force, its services, their processes and where they listen. Nothing is asked of the engines: `provision check` does that.",
    examples=(Example("provision status", "a table"), Example("provision status --json", "for scripts")),
    run=run,
    after="Ends with 0 when everything that should run does, or nothing should; with 1 when a service is not there.",
)
