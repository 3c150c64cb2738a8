"""Completion scripts for three shells, generated from the table of commands and their options."""

from collections.abc import Callable

from provisioner.commands import COMMANDS, load
from provisioner.commands.options import EVERYWHERE, Option

DEFAULT = "up"
"""The command that is meant where none is given."""


def script(shell: str) -> str:
    """The whole script; nothing of it calls `provision` again while a person types."""
    writers: dict[str, Callable[[], list[str]]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return "\n".join(writers[shell]()) + "\n"


def options_of(command: str) -> tuple[Option, ...]:
    return (*load(command).options, *EVERYWHERE)


def names_of(option: Option) -> list[str]:
    return [name for name in (option.name, option.short) if name]


def _words(option: Option) -> list[str]:
    return [word for word in option.suggestions if not word.startswith("<")]


def _bash() -> list[str]:
    everything = {option.name: option for command in COMMANDS for option in options_of(command) if option.takes_value}
    valued = sorted({name for option in everything.values() if not option.positional for name in names_of(option)})
    return [
        "# bash completion for provision",
        "_provision() {",
        "    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= index",
        "    # Bash takes `--option=value` apart at the equals sign.",
        "    if [[ $current == '=' ]]; then current=; elif [[ $before == '=' ]]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi",
        "    for ((index = 1; index < COMP_CWORD; index++)); do",
        "        case ${COMP_WORDS[index]} in",
        f"            {'|'.join(valued)}) ((index++)); [[ ${{COMP_WORDS[index]}} == '=' ]] && ((index++)) ;;",
        "            -*) ;;",
        f"            {'|'.join(COMMANDS)}) [[ -z $command ]] && command=${{COMP_WORDS[index]}} ;;",
        "        esac",
        "    done",
        "    COMPREPLY=()",
        f"    case ${{command:-{DEFAULT}}} in",
        *(line for command in COMMANDS for line in _bash_command(command)),
        "    esac",
        f"    [[ -z $command && $current != -* ]] && mapfile -t COMPREPLY < <(compgen -W '{' '.join(COMMANDS)}' -- \"$current\")",
        "}",
        "complete -F _provision provision",
    ]


def _bash_command(command: str) -> list[str]:
    options = options_of(command)
    flags = " ".join(name for option in options if not option.positional for name in names_of(option))
    places = [word for option in options if option.positional for word in _words(option)]
    lines = [f"        {command})", "            case $before in"]
    lines += [
        f"                {'|'.join(names_of(option))}) {_bash_value(option)} return ;;"
        for option in options
        if option.takes_value and not option.positional
    ]
    lines.append("            esac")
    lines.append(f"            [[ $current == -* ]] && mapfile -t COMPREPLY < <(compgen -W '{flags}' -- \"$current\")")
    if places:
        lines.append(
            f"            [[ $current != -* ]] && mapfile -t COMPREPLY < <(compgen -W '{' '.join(places)}' -- \"$current\")"
        )
    return [*lines, "            ;;"]


def _bash_value(option: Option) -> str:
    kinds = []
    if _words(option):
        kinds.append(f"-W '{' '.join(_words(option))}'")
    if "<file>" in option.suggestions:
        kinds.append("-f")
    if "<folder>" in option.suggestions:
        kinds.append("-d")
    if not kinds:
        return ""
    paths = "compopt -o filenames 2>/dev/null; " if len(kinds) > len(_words(option)[:1]) else ""
    return f'{paths}mapfile -t COMPREPLY < <(compgen {" ".join(kinds)} -- "$current");'


def _quoted(text: str) -> str:
    """For a place between single quotes, where square brackets and colons mean something to zsh."""
    return text.replace("'", "'\\''").replace("[", "(").replace("]", ")").replace(":", "\\:")


def _zsh() -> list[str]:
    return [
        "#compdef provision",
        "_provision() {",
        "    local context state line",
        "    local -a commands",
        f"    commands=({' '.join(_zsh_summary(name, summary) for name, summary in COMMANDS.items())})",
        "    _arguments -C \\",
        *(f"        {each} \\" for each in _zsh_options(DEFAULT)),
        "        '1: :->command' '*:: :->rest'",
        "    case $state in",
        "        command) _describe command commands ;;",
        "        rest)",
        "            case $words[1] in",
        *(line for command in COMMANDS for line in _zsh_command(command)),
        "            esac ;;",
        "    esac",
        "}",
        "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }",
        "compdef _provision provision",
    ]


def _zsh_summary(name: str, summary: str) -> str:
    return f"'{name}:{_quoted(summary)}'"


def _zsh_command(command: str) -> list[str]:
    return [f"                {command}) _arguments {' '.join(_zsh_options(command))} ;;"]


def _zsh_options(command: str) -> list[str]:
    found = []
    for option in options_of(command):
        if option.positional:
            found.append(f"'1:{option.key}:{_zsh_value(option)}'")
            continue
        mark = "*" if option.kind in ("repeat", "count") else ""
        value = f":{_quoted(option.metavar)}:{_zsh_value(option)}" if option.takes_value else ""
        for name in names_of(option):
            equals = ("=" if name.startswith("--") else "+") if option.takes_value else ""
            found.append(f"'{mark}{name}{equals}[{_quoted(option.help)}]{value}'")
    return found


def _zsh_value(option: Option) -> str:
    if _words(option):
        return f"({' '.join(_words(option))})"
    if "<file>" in option.suggestions:
        return "_files"
    return "_files -/" if "<folder>" in option.suggestions else " "


def _fish() -> list[str]:
    names = " ".join(COMMANDS)
    lines = ["# fish completion for provision", "complete -c provision -f"]
    for name, summary in COMMANDS.items():
        lines.append(
            f"complete -c provision -n 'not __fish_seen_subcommand_from {names}' -a {name} -d '{_escaped(summary)}'"
        )
    for name in COMMANDS:
        there = f"__fish_seen_subcommand_from {name}"
        when = f"{there}; or not __fish_seen_subcommand_from {names}" if name == DEFAULT else there
        lines += [
            f"complete -c provision -n '{when}' {_fish_option(option)}"
            for option in options_of(name)
            if _fish_option(option)
        ]
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _fish_option(option: Option) -> str:
    if option.positional:
        return f"-a '{' '.join(_words(option))}'" if _words(option) else ""
    short = f" -s {option.short.lstrip('-')}" if option.short else ""
    value = ""
    if option.takes_value:
        value = " -x" if "<file>" not in option.suggestions else " -r -F"
        words = " ".join(_words(option)) or (
            "(__fish_complete_directories)" if "<folder>" in option.suggestions else ""
        )
        value += f" -a '{words}'" if words else ""
    return f"-l {option.name.lstrip('-')}{short}{value} -d '{_escaped(option.help)}'"
