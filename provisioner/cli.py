"""From the words of a command line to the one command that they name; every error is printed here."""

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from provisioner.commands import CHANGING, COMMANDS, RESERVED, load
from provisioner.commands.options import EVERYWHERE, HARDWARE, Arguments, Command, Option, Value
from provisioner.console import Screen
from provisioner.errors import BadInput, Interrupted, UserError

if TYPE_CHECKING:
    import argparse


def main(arguments: list[str]) -> int:
    screen = Screen(sys.stdout, sys.stderr, os.environ, json=_given(arguments, "--json"))
    verbose = _given(arguments, "-v", "--verbose", "-vv")
    _stop_politely()
    try:
        return dispatch(arguments, screen)
    except UserError as error:
        return screen.error(error)
    except KeyboardInterrupt:
        changing = (split(arguments)[0] or "up") in CHANGING
        safe = "run it again: that is safe, and finishes or undoes what was begun"
        return screen.error(Interrupted("interrupted", fix=safe if changing else ""))
    except Exception as error:
        return _unexpected(error, screen, verbose)


def dispatch(arguments: list[str], screen: Screen) -> int:
    name, rest = split(arguments)
    if name == "help":
        name, rest = (rest[0], ["--help"]) if rest else ("", ["--help"])
    if name and name not in COMMANDS:
        raise _unknown_command(name)
    if _given(rest, "--help", "-h"):
        from provisioner.commands.rendered import command_help, top_help

        screen.show(command_help(name) if name else top_help())
        return 0
    if _given(rest, "--version") and not name:
        from provisioner import __version__

        screen.show(f"provision {__version__}")
        return 0
    command = load(name or "up")
    given = parse(name or "up", command, rest)
    if given.text("state_dir"):
        screen.is_about(given.state_dir)
    return command.run(given, screen)


def split(arguments: list[str]) -> tuple[str, list[str]]:
    """The command's name ("" where none is given) and its words; options of all commands may stand before it."""
    before: list[str] = []
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = next((each for each in EVERYWHERE if rest[0].split("=")[0] in (each.name, each.short)), None)
        if option is None:
            return "", before + rest
        before.append(rest.pop(0))
        if rest and option.takes_value and "=" not in before[-1]:
            before.append(rest.pop(0))
    return (rest[0], before + rest[1:]) if rest else ("", before)


def parse(name: str, command: Command, words: list[str]) -> Arguments:
    """The values of this command's options; whatever is wrong with the words is told in our own way."""
    import argparse

    options = (*command.options, *EVERYWHERE)
    parser = argparse.ArgumentParser(
        prog=f"provision {name}",
        add_help=False,
        allow_abbrev=False,
        exit_on_error=False,
        # Told the width, the formatter does not import what finds it out.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=100),
    )
    for option in options:
        _add(parser, option)
    try:
        found, surplus = parser.parse_known_args(words)
    except argparse.ArgumentError as error:
        raise _unusable(name, error.argument_name or "", error.message) from None
    if surplus:
        raise _surplus(name, surplus[0], options)
    given: dict[str, object] = vars(found)
    return Arguments({option.key: _value(option, given.get(option.key)) for option in options})


def _add(parser: "argparse.ArgumentParser", option: Option) -> None:
    names = [name for name in (option.short, option.name) if name]
    if option.positional:
        parser.add_argument(option.key, nargs="?")
    elif option.kind == "switch":
        parser.add_argument(*names, dest=option.key, action="store_true")
    elif option.kind == "count":
        parser.add_argument(*names, dest=option.key, action="count", default=0)
    elif option.kind == "repeat":
        parser.add_argument(*names, dest=option.key, action="append")
    else:
        parser.add_argument(*names, dest=option.key)


def _value(option: Option, given: object) -> Value:
    if given is None:
        return option.default
    if isinstance(given, list):
        return tuple(str(item) for item in given)
    if option.kind == "number":
        return _number(option, str(given))
    if isinstance(given, bool | int):
        return given
    if not str(given).strip():
        raise BadInput(
            f"`{option.name}` was given an empty value", fix=f"write `{option.name} {option.metavar}`, or leave it out"
        )
    return str(given)


def _number(option: Option, text: str) -> int:
    from provisioner.planning.asked.amounts import whole_number

    try:
        return whole_number(text)
    except ValueError as error:
        example = "`4096`, or `4k`" if option.key == "context" else "`4`"
        raise BadInput(f"`{option.name}`: {error}", fix=f"for example `{option.name} {example.lstrip('`')}") from None


def _given(words: list[str], *names: str) -> bool:
    """Whether one of these options stands among the words, before a bare `--`."""
    return any(word in names for word in (words[: words.index("--")] if "--" in words else words))


def _unknown_command(name: str) -> BadInput:
    if name in RESERVED:
        return BadInput(f"`{name}` is not in this release", fix="`provision --help` lists the commands that are")
    near = _nearest(name, tuple(COMMANDS))
    fix = f"did you mean {near}?" if near else "`provision --help` lists the commands"
    return BadInput(f"`{name}` is not a command of provision", fix=fix)


def _surplus(name: str, word: str, options: tuple[Option, ...]) -> BadInput:
    if not word.startswith("-"):
        fix = (
            f"the command comes first: `provision {word} …`"
            if word in COMMANDS
            else f"`provision {name} --help` shows what it takes"
        )
        return BadInput(f"`provision {name}` does not expect `{word}`", fix=fix)
    flag = word.split("=", maxsplit=1)[0]
    near = _nearest(flag, tuple(option.name for option in options if not option.positional))
    fix = f"did you mean {near}? " if near else ""
    if flag == HARDWARE.name:
        fix = f"`provision plan {flag} …` plans for another machine; "
    return BadInput(
        f"`{flag}` is not an option of `provision {name}`", fix=f"{fix}`provision {name} --help` lists them all"
    )


def _unusable(name: str, argument: str, message: str) -> BadInput:
    option = f"`{argument.rsplit('/', maxsplit=1)[-1]}`"
    if message.startswith("expected"):
        message = f"{option} needs a value"
    elif message.startswith("ignored explicit argument"):
        message = f"{option} takes no value"
    else:
        message = f"{option}: {message}"
    return BadInput(message, fix=f"`provision {name} --help` shows how it is written")


def _nearest(word: str, known: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    return " or ".join(f"`{near}`" for near in get_close_matches(word, known, n=2, cutoff=0.7))


def _unexpected(error: Exception, screen: Screen, verbose: bool) -> int:
    if verbose:
        import traceback

        screen.note("".join(traceback.format_exception(error)).rstrip())
    says = f"this is a mistake of provision, not yours: {type(error).__name__}: {error}"
    again = "" if verbose else "run it again with `-v` to see where, and "
    return screen.error(UserError(says, fix=f"{again}report it with the output of `provision detect --json`"))


def _stop_politely() -> None:
    """Let a request to end be answered like Ctrl-C; one that the caller ignores stays ignored."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for wanted in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(wanted) == signal.SIG_DFL:
            signal.signal(wanted, stop)
