"""`provision plan`: what would be done and why; nothing is changed."""

from provisioner.commands.options import HARDWARE, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner import workflows
    from provisioner.commands.wanted import spec
    from provisioner.planning.document import plan_document

    planned = workflows.plan(spec(arguments), arguments.text("hardware"), arguments.state_dir)
    if screen.json:
        screen.document(plan_document(planned.plan, [str(action) for action in planned.actions]))
    else:
        from provisioner.views.plan import plan_view

        screen.show(plan_view(planned, screen.look, explain=arguments.switch("explain")))
    ready = planned.plan.verdict == "fits" and not any(one.level == "error" for one in planned.plan.findings)
    return 0 if ready else 3


COMMAND = Command(
    description="Read the machine, choose, prove that the choice fits, and show the very actions that `provision up` would execute. "
    "Nothing is changed, and nothing is downloaded.",
    examples=(
        Example("provision plan --profile standard", "what `up` would do here, and why"),
        Example('provision plan --hardware "1x RTX 4090, 64 GiB"', "for a machine described in words"),
        Example(
            "provision plan --hardware server.json --json", "for the machine that printed this with `detect --json`"
        ),
    ),
    options=(
        *WANTED,
        HARDWARE,
        Option("--explain", "show every option that was looked at and rejected", kind="switch"),
    ),
    run=run,
    after="Ends with 0 when it fits, and with 3 when it is refused or a precondition is missing.",
)
