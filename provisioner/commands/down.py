"""`provision down`: stop and remove what `up` made, and nothing else."""

from provisioner.commands.options import WAIT, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import undo

    with screen.progress() as progress:
        removed = undo.down(
            arguments.state_dir, arguments.switch("purge"), progress, wait=arguments.number("wait") or 0
        )
    if screen.json:
        from provisioner.views.documents import removed_document

        screen.document(removed_document(removed))
    else:
        from provisioner.views.outcome import removed_view

        screen.show(removed_view(removed, screen.look))
    return 0 if removed.applied is None or removed.applied.ok else 1


COMMAND = Command(
    description="Stop the services and remove what `up` made, and nothing else. Weights and the history stay, unless `--purge` is given.",
    examples=(
        Example("provision down", "the next `up` starts at once, from the weights that stayed"),
        Example("provision down --purge", "nothing is left"),
    ),
    options=(Option("--purge", "remove weights, keys, releases and the history too", kind="switch"), WAIT),
    run=run,
)
