"""`provision history`: what was done here, and when."""

from provisioner.commands.options import Arguments, Command, Example
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import looks

    entries = looks.history(arguments.state_dir)
    if screen.json:
        from provisioner.views.documents import history_document

        screen.document(history_document(entries))
    else:
        from provisioner.views.status import history_view

        screen.show(history_view(entries, screen.look))
    return 0


COMMAND = Command(
    description="Show every run that changed something here, newest first: when, which release, and how it ended.",
    examples=(Example("provision history", "releases named here can be given to `provision rollback --to`"),),
    run=run,
)
