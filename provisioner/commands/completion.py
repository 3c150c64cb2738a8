"""`provision completion`: a script that teaches the shell our commands and options."""

from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput

SHELLS = ("bash", "zsh", "fish")


def run(arguments: Arguments, screen: Screen) -> int:
    from provisioner.commands.shells import script

    shell = arguments.text("shell")
    if shell not in SHELLS:
        said = (
            f"`{shell}` is not a shell that is known here"
            if shell
            else "`provision completion` needs the name of a shell"
        )
        raise BadInput(said, fix=f"one of: {', '.join(f'`provision completion {each}`' for each in SHELLS)}")
    text = script(shell)
    if screen.json:
        screen.document({"schema": "provision.completion/1", "shell": shell, "script": text})
    else:
        screen.show(text)
    return 0


COMMAND = Command(
    description="Print a script that completes commands, options, profiles, files and folders.",
    examples=(
        Example('eval "$(provision completion bash)"', "in ~/.bashrc"),
        Example('eval "$(provision completion zsh)"', "in ~/.zshrc"),
        Example("provision completion fish > ~/.config/fish/completions/provision.fish", "once"),
    ),
    options=(Option("SHELL", "bash, zsh or fish", suggestions=SHELLS),),
    run=run,
)
