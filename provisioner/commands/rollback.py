"""`provision rollback`: bring an earlier release back."""

from provisioner.commands.options import WAIT, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import undo

    with screen.progress() as progress:
        back = undo.rollback(
            arguments.state_dir,
            arguments.text("to"),
            progress,
            wait=arguments.number("wait") or 0,
            with_data=arguments.switch("with_data"),
        )
    if screen.json:
        from provisioner.views.documents import rollback_document

        screen.document(rollback_document(back))
    else:
        from provisioner.views.outcome import rollback_view

        screen.show(rollback_view(back, screen.look))
    return back.report.exit_code


COMMAND = Command(
    description="Put an earlier release in force again, from its own folder: nothing is planned anew, and nothing is downloaded.",
    examples=(
        Example("provision rollback", "the release that was in force before this one"),
        Example("provision rollback --to 3f9a1c20", "one of `provision history`"),
    ),
    options=(
        Option("--to", "the release, or the first letters of its name", "RELEASE"),
        Option(
            "--with-data", "chats and accounts as they were when `upgrade` left it; today's are kept", kind="switch"
        ),
        WAIT,
    ),
    run=run,
)
