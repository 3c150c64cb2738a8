"""Reading what a machine answered: the text, number or names that a parser looks for."""

from provisioner.model.facts import Answers, CannotAsk, Unknown


def text(answers: Answers, key: str) -> str | None:
    """The answer without surrounding blanks; None when there is none or it could not be read."""
    value = answers.get(key)
    return None if value is None or isinstance(value, Unknown) else value.strip(" \t\r\n\0")


def printed(answers: Answers, command: str) -> str:
    """What a program printed; `CannotAsk` names the program and says why there is nothing."""
    output, name = answers.get(command, Unknown("was not asked")), command.partition(" ")[0]
    if isinstance(output, Unknown):
        raise CannotAsk(output.reason if name in output.reason else f"{name}: {output.reason}")
    return output


def number(answers: Answers, key: str, base: int = 10) -> int | None:
    """The answer as a whole number; None when it is something else."""
    try:
        return int(text(answers, key) or "", base)
    except ValueError:
        return None


def node(answers: Answers, key: str) -> int | None:
    """The NUMA node of a device; the kernel writes -1 when the device has none."""
    value = number(answers, key)
    return value if value is not None and value >= 0 else None


def names(answers: Answers, folder: str) -> tuple[str, ...]:
    """What lies directly in a folder, as far as the answers show."""
    start = folder.rstrip("/") + "/"
    return tuple(sorted({key[len(start) :].split("/", 1)[0] for key in answers if key.startswith(start)}))


def last(answers: Answers, key: str) -> str | None:
    """The last name of a path that was answered: the driver, the device that a link points to."""
    value = text(answers, key)
    return value.rstrip("/").rsplit("/", 1)[-1] if value else None


def pairs(lines: str, separator: str) -> dict[str, str]:
    """Lines such as `MemTotal: 16 kB` as a mapping; the first of several equal names counts."""
    found: dict[str, str] = {}
    for line in lines.splitlines():
        name, mark, value = line.partition(separator)
        if mark:
            found.setdefault(name.strip(), value.strip())
    return found
