"""`provision check`: ask the running services, one real completion included, and judge the answers."""

from provisioner.commands.options import Arguments, Command, Example
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import looks

    checked = looks.check(arguments.state_dir)
    if screen.json:
        from provisioner.views.documents import check_document

        screen.document(check_document(checked))
    else:
        from provisioner.views.status import check_view

        screen.show(check_view(checked, screen.look))
    return checked.report.exit_code


COMMAND = Command(
    description="Ask every service: is its process alive, does it list its model, does a streamed completion advance, is the context what was promised, "
    "is a request without a key refused. A service whose health looks fine and that does not answer is reported as wedged.",
    examples=(Example("provision check", "all findings at once"), Example("provision check --json", "for monitoring")),
    run=run,
)
