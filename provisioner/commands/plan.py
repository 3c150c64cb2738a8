"""`provision plan`: what would be done and why; nothing is changed."""

from provisioner.commands.options import HARDWARE, PROFILES, WANTED, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.commands.wanted import spec
    from provisioner.planning.document import plan_document
    from provisioner.workflows import plans

    if arguments.texts("compare"):
        return _compare(arguments, screen)
    hardware, changed = arguments.text("hardware"), arguments.text("what_if")
    planned = plans.plan(spec(arguments), hardware, arguments.state_dir, changed)
    if screen.json:
        screen.document(plan_document(planned.plan, [str(action) for action in planned.actions]))
    else:
        from provisioner.views.plan import plan_view

        screen.show(plan_view(planned, screen.look, explain=arguments.switch("explain")))
    ready = planned.plan.verdict == "fits" and not any(one.level == "error" for one in planned.plan.findings)
    return 0 if ready else 3


def _compare(arguments: Arguments, screen: Screen) -> int:
    """Side by side; done when all are planned, whether they fit or not."""
    from provisioner.commands.wanted import spec
    from provisioner.errors import BadInput
    from provisioner.planning.document import comparison_document
    from provisioner.workflows import plans

    if arguments.text("what_if"):
        raise BadInput("--what-if and --compare do not go together", fix="name the changed machine with --compare")
    names = arguments.texts("compare")
    compared = plans.compare(spec(arguments), arguments.text("hardware"), names, arguments.state_dir)
    if screen.json:
        screen.document(comparison_document(compared))
    else:
        from provisioner.views.comparison import comparison_view

        screen.show(comparison_view(compared, screen.look))
    return 0


COMMAND = Command(
    description="Read the machine, choose, prove that the choice fits, and show the very actions that `provision up` would execute. "
    "Nothing is changed, and nothing is downloaded.",
    examples=(
        Example("provision plan --profile standard", "what `up` would do here, and why"),
        Example(
            'provision plan --hardware "1x RTX 4090, 64 GiB DDR5-5600, 2 channels"', "for a machine described in words"
        ),
        Example('provision plan --what-if "+1x RTX 4090"', "what one more card would change"),
        Example("provision plan --compare basic --compare standard", "two profiles side by side"),
        Example(
            "provision plan --hardware server.json --json", "for the machine that printed this with `detect --json`"
        ),
    ),
    options=(
        *WANTED,
        HARDWARE,
        Option("--what-if", "plan for the machine with this changed: `+2x RTX 4090, 512 GiB`", "TEXT"),
        Option(
            "--compare",
            "a profile or a machine to set side by side; repeat it",
            "NAME|FILE|TEXT",
            kind="repeat",
            suggestions=PROFILES,
        ),
        Option("--explain", "show every option that was looked at and rejected", kind="switch"),
    ),
    run=run,
    after="Ends with 0 when it fits, and with 3 when it is refused or a precondition is missing.",
)
