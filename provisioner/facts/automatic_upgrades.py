"""Whether packages are upgraded without anybody there, as apt's configuration says."""

import re
from collections.abc import Iterator

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown
from provisioner.model.upkeep import AutomaticUpgrades

MAIN = "/etc/apt/apt.conf"
PARTS = "/etc/apt/apt.conf.d/*"
SWITCH = "apt::periodic::unattended-upgrade"
ALL = "apt::periodic::enable"
SPARED = "unattended-upgrade::package-blacklist::"
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|#[^\n]*|"([^"\n]*)"|([{};])|([^\s"{};]+)', re.DOTALL)


def parse(answers: Answers) -> AutomaticUpgrades:
    """The last of several equal settings counts; apt reads the folder in the order of names, and the one file after it."""
    settings: dict[str, str] = {}
    spared: list[str] = []
    for path in sorted(answers, key=lambda path: (path == MAIN, path)):
        written = answers[path]
        if isinstance(written, Unknown) or not _is_read(path):
            continue
        for name, value in _settings(written):
            settings[name] = value
            if name == SPARED:
                spared.append(value)
    return AutomaticUpgrades(_is_on(settings), tuple(spared))


def _is_on(settings: dict[str, str]) -> bool:
    return settings.get(SWITCH, "0") != "0" and settings.get(ALL, "1") != "0"


def _is_read(path: str) -> bool:
    """Of the folder, apt takes names without an end, and those that end in `.conf`."""
    name = path.rpartition("/")[2]
    return "." not in name or name.endswith(".conf")


def _settings(written: str) -> Iterator[tuple[str, str]]:
    """`A::B "value";` and `A { B "value"; C { "item"; }; };`, each with its whole name in small letters."""
    outer: list[str] = []
    words: list[str] = []
    for quoted, sign, word in TOKEN.findall(written):
        if sign == "{":
            outer.append(words[0].lower() if words else "")
        elif sign == "}":
            outer = outer[:-1]
        elif sign == ";" and words:
            name = words[0].lower() if len(words) > 1 else ""
            yield "::".join((*outer, name)), words[-1]
        words = [] if sign else [*words, quoted or word] if quoted or word else words


FACT: Fact[AutomaticUpgrades | None] = Fact("automatic_upgrades", ReadFiles((PARTS, MAIN)), parse, absent=None)
