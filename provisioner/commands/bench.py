"""`provision bench`: how fast what is in force answers, kept for upgrades to be held against."""

from provisioner.commands.options import WAIT, Arguments, Command, Example, Option
from provisioner.console import Screen


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.workflows import looks

    with screen.progress() as progress:
        benched = looks.bench(
            arguments.state_dir, arguments.switch("quick"), progress, wait=arguments.number("wait") or 0
        )
    if screen.json:
        from provisioner.views.documents import bench_document

        screen.document(bench_document(benched))
    else:
        from provisioner.views.speed import bench_view

        screen.show(bench_view(benched, screen.look))
    return 0


COMMAND = Command(
    description="Ask the release in force a fixed set of questions through its own endpoint: one at a time, and as many at once as it serves. "
    "Tokens per second and the time to the first token are printed beside the plan's estimate, and kept: `upgrade` holds a new release "
    "against them.",
    examples=(
        Example("provision bench", "about a minute and a half at most"),
        Example("provision bench --quick", "about 10 seconds: what `upgrade` does by itself"),
    ),
    options=(Option("--quick", "fewer questions, in less time", kind="switch"), WAIT),
    run=run,
)
