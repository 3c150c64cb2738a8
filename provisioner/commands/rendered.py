"""Help as text, from the live table; the top-level one is kept in the package so that it is shown at once.

`python -m provisioner.commands.rendered --write` renews it.
"""

import os
import sys

from provisioner.commands import COMMANDS, load
from provisioner.commands.options import EVERYWHERE, HARDWARE, WANTED, Example, Option
from provisioner.views.layout import wrapped

WIDTH = 100
SHORT = 44
"""The longest example that has its explanation beside it; below a longer one there is room."""

START = (
    Example("provision --profile demo", "the whole journey in under a minute, no GPU and no network needed"),
    Example("provision plan", "what would be done here, and why"),
    Example(
        'provision plan --hardware "8x RTX 4090, 2 sockets, 512 GiB"', "the same for a machine that you do not have yet"
    ),
)

CODES = (
    "Exit codes: 0 done or nothing to do · 1 the run failed, the previous state is back or stated · 2 usage or bad input · "
    "3 refused: it does not fit or a precondition is missing · 4 a check failed and the release was rolled back · "
    "5 interrupted, safe to run again"
)

PAGE = (
    "Made from the program's own table by `python -m provisioner.commands.rendered --write`; a test holds it to that. "
    "With `--json` every command prints one document, whose JSON Schema lies beside this page, named for the document's `schema`."
)


def top_help() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "provision turns a bare server into a working, private LLM appliance, and proves that it answers.",
        "",
        "Usage: provision [COMMAND] [OPTIONS]",
        "",
        "Commands:",
        *(f"  {name:{width}}  {summary}" for name, summary in COMMANDS.items()),
        "",
        "What to bring up (all commands that plan):",
        *_options((*WANTED, HARDWARE)),
        "",
        "All commands:",
        *_options((*EVERYWHERE, Option("--version", "show the version", short="-V", kind="switch"))),
        "",
        *_examples(START),
        "",
        *wrapped(CODES, WIDTH),
        "",
        "`provision COMMAND --help` says more about one of them.",
    ]
    return "\n".join(lines) + "\n"


def command_help(name: str) -> str:
    command = load(name)
    wanted = tuple(option for option in command.options if option in (*WANTED, HARDWARE))
    own = tuple(option for option in command.options if option not in wanted and not option.positional)
    places = tuple(option for option in command.options if option.positional)
    words = "".join(f" [{option.name}]" for option in places)
    lines = [
        f"Usage: provision {name}{words} [OPTIONS]",
        "",
        *wrapped(command.description, WIDTH),
        "",
        *_examples(command.examples),
    ]
    for title, options in (
        ("Arguments:", places),
        ("Options:", own),
        ("What to bring up:", wanted),
        ("All commands:", EVERYWHERE),
    ):
        if options:
            lines += ["", title, *_options(options)]
    if command.after:
        lines += ["", *wrapped(command.after, WIDTH)]
    return "\n".join(lines) + "\n"


def _options(options: tuple[Option, ...]) -> list[str]:
    names = [_name(option) for option in options]
    width = max(map(len, names))
    return [f"  {name:{width}}  {option.help}" for name, option in zip(names, options, strict=True)]


def _name(option: Option) -> str:
    if option.positional:
        return option.name
    value = f" {option.metavar}" if option.metavar else ""
    return f"{option.short + ',' if option.short else '   '} {option.name}{value}"


def _examples(examples: tuple[Example, ...]) -> list[str]:
    width = max((len(example.line) for example in examples if len(example.line) <= SHORT), default=0)
    lines = ["Examples:" if len(examples) > 1 else "Example:"]
    for example in examples:
        beside = len(example.line) <= SHORT
        lines += (
            [f"  {example.line:{width}}  {example.says}"] if beside else [f"  {example.line}", f"      {example.says}"]
        )
    return lines


def page() -> str:
    """The reference page: what every `--help` says, in one place."""
    parts = ["# The command line", "", PAGE, "", "```text", top_help().rstrip(), "```"]
    for name in COMMANDS:
        parts += ["", f"## provision {name}", "", "```text", command_help(name).rstrip(), "```"]
    return "\n".join(parts) + "\n"


def _write() -> None:
    package = os.path.dirname(os.path.dirname(__file__))
    for path, text in (
        (os.path.join(package, "help.txt"), top_help()),
        (os.path.join(os.path.dirname(package), "docs/reference/commands.md"), page()),
    ):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python -m provisioner.commands.rendered --write   (in a checkout)")
    _write()
