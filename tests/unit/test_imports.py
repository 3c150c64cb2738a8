"""Starting fast is a feature: the modules that each command may load are listed here, so that it cannot rot."""

import os
import subprocess
import sys

import pytest

from provisioner.commands import COMMANDS
from tests.program import ENTRY

HARDWARE = "1x RTX 4090, 16 cores, 64 GiB"

HELP = frozenset(
    [
        "abc",
        "codecs",
        "collections",
        "contextlib",
        "copyreg",
        "encodings",
        "enum",
        "functools",
        "genericpath",
        "io",
        "itertools",
        "keyword",
        "operator",
        "os",
        "posix",
        "posixpath",
        "re",
        "reprlib",
        "signal",
        "stat",
        "types",
        "typing",
        "warnings",
    ]
)
PARSED = HELP | frozenset(["argparse", "errno", "gettext", "locale"])
UNKNOWN_OPTION = PARSED | frozenset(["difflib", "heapq"])
MACHINE = PARSED | frozenset(
    [
        "array",
        "fcntl",
        "importlib",
        "json",
        "math",
        "select",
        "selectors",
        "shlex",
        "socket",
        "time",
        "unicodedata",
        "zlib",
    ]
)
COMPRESSION = frozenset(["bz2", "fnmatch", "lzma", "shutil"])
STATE = MACHINE | COMPRESSION | frozenset(["datetime", "hashlib", "sqlite3"])
PLAN = PARSED | frozenset(["hashlib", "importlib", "json", "math", "shlex"])
"""Of another machine: no state is opened where there is none."""
TEMPLATES = frozenset(
    [
        "ast",
        "bisect",
        "dis",
        "inspect",
        "jinja2",
        "linecache",
        "markupsafe",
        "numbers",
        "opcode",
        "org",
        "pickle",
        "random",
        "string",
        "struct",
        "tempfile",
        "threading",
        "token",
        "tokenize",
        "weakref",
        "zlib",
    ]
)
"""Units of systemd are filled in by templates."""
LINKS = frozenset(["ipaddress", "urllib"])
"""What would be downloaded is named by its address."""

CASES = [
    (("--version",), frozenset(), 2),
    (("--help",), frozenset(), 2),
    *(((name, "--help"), HELP, 13) for name in COMMANDS),
    (("plan", "--no-such-option"), UNKNOWN_OPTION, 12),
    (("completion", "bash"), PARSED, 30),
    (("detect", "--json"), MACHINE | COMPRESSION, 66),
    (("detect",), MACHINE | COMPRESSION, 70),
    (("status",), STATE, 50),
    (("history",), STATE, 50),
    (("plan", "--hardware", HARDWARE, "--target", "process", "--json"), PLAN | LINKS, 122),
    (("plan", "--hardware", HARDWARE, "--target", "systemd", "--json"), PLAN | LINKS | COMPRESSION | TEMPLATES, 122),
    (("plan", "--hardware", HARDWARE, "--target", "docker", "--json"), PLAN, 134),
]


def imported(words: tuple[str, ...], state: str) -> set[str]:
    """Every module that the interpreter says it loaded, by its whole name."""
    places = () if words[0].startswith("-") or words[-1] == "--help" else ("--state-dir", state)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", ENTRY, *words, *places],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )
    assert done.returncode in (0, 2, 3), done.stderr[-2000:]
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:") and "|" in line)
    return {line.rsplit("|", 1)[-1].strip() for line in lines} - {"imported package"}


@pytest.fixture(scope="module")
def bare() -> set[str]:
    """What a bare interpreter of this environment loads: its `site` and what hooks into it."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "pass"], capture_output=True, text=True, check=True, timeout=60,
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")},
    )  # fmt: skip
    return {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    ("words", "allowed", "ours"), CASES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_modules(words: tuple[str, ...], allowed: frozenset[str], ours: int, bare: set[str], tmp_path: object) -> None:
    names = imported(words, str(tmp_path))
    top = {name.partition(".")[0] for name in names if not name.startswith("_")} - bare
    assert top - {"provisioner"} <= allowed
    mine = {name for name in names if name.partition(".")[0] == "provisioner"}
    assert len(mine) <= ours, sorted(mine)
    assert not [name for name in mine if "macos" in name], "Linux pays nothing for Macs"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_the_module_of_no_other_command(name: str, tmp_path: object) -> None:
    commands = {
        each.split(".")[2]
        for each in imported((name, "--help"), str(tmp_path))
        if each.startswith("provisioner.commands.")
    }
    assert commands == {name, "options", "rendered"}
