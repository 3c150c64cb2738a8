"""The words of a command line: what they mean, and what is said when they mean nothing."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from provisioner import __version__, cli
from provisioner.commands import COMMANDS, RESERVED, load
from provisioner.commands.options import Arguments, Command, Example, Option
from provisioner.console import Screen
from provisioner.errors import BadInput, Interrupted, Refused, RolledBack, RunFailed, UserError
from tests.program import ENTRY, run

PLAN = load("plan")


def screen(*, json: bool = False) -> Screen:
    return Screen(io.StringIO(), io.StringIO(), {}, json=json)


def parsed(*words: str) -> Arguments:
    return cli.parse("plan", PLAN, list(words))


@pytest.mark.parametrize(
    ("words", "name", "rest"),
    [
        ([], "", []),
        (["plan"], "plan", []),
        (["plan", "--json"], "plan", ["--json"]),
        (["--json", "plan"], "plan", ["--json"]),
        (["-v", "--state-dir", "x", "status"], "status", ["-v", "--state-dir", "x"]),
        (["--state-dir=x", "status"], "status", ["--state-dir=x"]),
        (["--state-dir", "plan", "status"], "status", ["--state-dir", "plan"]),
        (["--profile", "demo"], "", ["--profile", "demo"]),
        (["--profile", "plan"], "", ["--profile", "plan"]),
        (["-v", "--profile", "demo"], "", ["-v", "--profile", "demo"]),
    ],
)
def test_the_command_is_found(words: list[str], name: str, rest: list[str]) -> None:
    assert cli.split(words) == (name, rest)


def test_values_of_every_kind() -> None:
    found = parsed(
        "--profile", "demo", "--context=32k", "--set", "a=1", "--set", "b.c=x=y", "--explain", "-vv", "-f", "p.yaml"
    )
    assert found.text("profile") == "demo"
    assert found.number("context") == 32768
    assert found.pairs("set") == {"a": "1", "b.c": "x=y"}
    assert found.switch("explain")
    assert found.number("verbose") == 2
    assert found.text("file") == "p.yaml"
    assert found.text("model") is None
    assert not found.switch("json")


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("4096", 4096), ("8k", 8192), ("131_072", 131072), ("32,768", 32768), ("128K", 131072)],
)
def test_whole_numbers(text: str, value: int) -> None:
    assert parsed("--context", text).number("context") == value


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "many", "k", "٣", "1e3", ""])
def test_what_is_no_whole_number(text: str) -> None:
    with pytest.raises(BadInput, match="--context"):
        parsed("--context", text)


@pytest.mark.parametrize(
    ("words", "says", "fix"),
    [
        (["--precison", "q8_0"], "`--precison` is not an option of `provision plan`", "did you mean `--precision`?"),
        (["--profile=demo", "--explian"], "`--explian` is not", "did you mean `--explain`?"),
        (["--prof", "demo"], "`--prof` is not", "--help"),
        (["--context"], "`--context` needs a value", "--help"),
        (["--json=yes"], "`--json` takes no value", "--help"),
        (["status"], "does not expect `status`", "`provision status …`"),
        (["nonsense"], "does not expect `nonsense`", "--help"),
        (["--profile", " "], "empty value", "--profile NAME"),
    ],
)
def test_words_that_cannot_be_meant(words: list[str], says: str, fix: str) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(*words)
    assert says in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize("text", ["x", "=1", " = 1"])
def test_a_setting_is_a_pair(text: str) -> None:
    with pytest.raises(BadInput, match="key=value"):
        parsed("--set", text).pairs("set")


@pytest.mark.parametrize(
    ("word", "near"), [("plna", "`plan`"), ("detct", "`detect`"), ("roll-back", "`rollback`"), ("stats", "`status`")]
)
def test_an_unknown_command_has_its_nearest_name(word: str, near: str) -> None:
    with pytest.raises(BadInput) as caught:
        cli.dispatch([word], screen())
    assert near in caught.value.fix


def test_a_word_like_no_command_is_told_where_the_list_is() -> None:
    with pytest.raises(BadInput) as caught:
        cli.dispatch(["xyzzy"], screen())
    assert caught.value.fix == "`provision --help` lists the commands"


@pytest.mark.parametrize("name", RESERVED)
def test_names_of_later_releases_say_so(name: str) -> None:
    assert name not in COMMANDS
    with pytest.raises(BadInput, match=f"`{name}` is not in this release"):
        cli.dispatch([name, "create"], screen())


def test_another_machine_is_planned_for_and_not_brought_up() -> None:
    with pytest.raises(BadInput) as caught:
        cli.parse("up", load("up"), ["--hardware", "1x H200"])
    assert "provision plan --hardware" in caught.value.fix


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    shown = io.StringIO()
    assert cli.dispatch([name, "--help"], Screen(shown, io.StringIO(), {})) == 0
    assert f"Usage: provision {name}" in shown.getvalue()
    assert "Example" in shown.getvalue()
    again = io.StringIO()
    cli.dispatch(["help", name], Screen(again, io.StringIO(), {}))
    assert again.getvalue() == shown.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_understood(name: str) -> None:
    """Each example is a command line of this program, and its options exist."""
    import shlex

    for example in load(name).examples:
        line = example.line.removeprefix('eval "$(').removesuffix(')"')
        words = shlex.split(line.partition(" > ")[0])
        assert words[0] == "provision"
        command, rest = cli.split(words[1:])
        assert command == name
        cli.parse(name, load(name), rest)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_well_formed(name: str) -> None:
    options = load(name).options
    keys = [option.key for option in options]
    shorts = [option.short for option in options if option.short]
    assert len(set(keys)) == len(keys)
    assert len(set(shorts)) == len(shorts)
    assert all(option.kind in ("text", "number", "switch", "count", "repeat") for option in options)
    assert all(bool(option.metavar) == option.takes_value for option in options if not option.positional)


def test_the_state_folder() -> None:
    assert Arguments({"state_dir": "/x/../y"}).state_dir == "/y"
    assert Arguments().state_dir.endswith("/provision")


KINDS = [UserError, BadInput, Refused, RunFailed, RolledBack, Interrupted]


@pytest.mark.parametrize(("kind", "code"), list(zip(KINDS, [1, 2, 3, 1, 4, 5], strict=True)))
def test_errors_are_told_with_their_remedy(kind: type[UserError], code: int) -> None:
    where = screen()
    assert where.error(kind("lab-01: no room", fix="make some", details=("3 GiB are free",))) == code
    assert where.err.getvalue() == "error: lab-01: no room\n  3 GiB are free\nfix: make some\n"  # type: ignore[attr-defined]
    assert where.out.getvalue() == ""  # type: ignore[attr-defined]


def test_errors_are_one_document_with_json() -> None:
    where = screen(json=True)
    where.error(Refused("no room", fix="make some"))
    told = json.loads(where.out.getvalue())  # type: ignore[attr-defined]
    assert told == {
        "schema": "provision.error/1",
        "error": "no room",
        "details": [],
        "fix": "make some",
        "exit_code": 3,
    }


def test_a_document_that_is_there_already_stays_the_only_one() -> None:
    where = screen(json=True)
    where.document({"schema": "x"})
    where.error(Refused("no room"))
    assert json.loads(where.out.getvalue()) == {"schema": "x"}  # type: ignore[attr-defined]


# As a process.


@pytest.mark.parametrize("before", [True, False])
def test_a_remedy_names_the_state_folder_that_was_named(tmp_path: Path, before: bool) -> None:
    place = ["--state-dir", str(tmp_path / "a b")]
    words = [*place, "check"] if before else ["check", *place]
    asked = run(*words)
    assert asked.code == 3
    assert asked.err.endswith(f"fix: provision up --state-dir '{tmp_path}/a b'\n")


def test_version() -> None:
    assert run("--version").out == f"provision {__version__}\n"
    assert run("-V").out == f"provision {__version__}\n"
    assert run("-v", "--version").out == f"provision {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [("plna",), ("plan", "--bogus"), ("bundle", "create"), ("completion", "tcsh"), ("completion",), ("render",)],
)
def test_bad_usage_ends_with_2_and_says_nothing_on_standard_output(words: tuple[str, ...]) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert "\nfix: " in ran.err
    assert "Traceback" not in ran.err


def test_bad_usage_with_json_is_one_document() -> None:
    ran = run("plan", "--bogus", "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["exit_code"] == 2


def test_a_pipe_gets_no_colour_and_a_pipe_that_closes_no_traceback(tmp_path: Path) -> None:
    ran = run(
        "plan",
        "--profile",
        "demo",
        "--hardware",
        "4 cores, 16 GiB",
        "--state-dir",
        str(tmp_path),
        environment={"TERM": "xterm-256color"},
    )
    assert ran.code == 0
    assert "\x1b" not in ran.out + ran.err
    for words in (["--help"], ["plan", "--help"], ["plan", "--profile", "demo", "--hardware", "4 cores, 16 GiB"]):
        quoted = " ".join(f"'{word}'" for word in words)
        line = f"set -o pipefail; {sys.executable} -c '{ENTRY}' {quoted} | true"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("words", ["--help", "completion bash"])
def test_a_full_disk_is_told(words: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{ENTRY}' {words} > /dev/full"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "error: standard output: No space left on device" in done.stderr


def test_closed_streams_are_no_error() -> None:
    for words in ("--version", "completion bash", "plna"):
        line = f"{sys.executable} -c '{ENTRY}' {words} >&- 2>&-"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == (2 if words == "plna" else 0)
        assert done.stderr == ""


WAITS = """
import sys, time
from provisioner import cli, commands
from provisioner.commands.options import Command, Example
def run(arguments, screen):
    screen.note("ready")
    time.sleep(30)
    return 0
sys.modules["provisioner.commands.plan"] = type(sys)("provisioner.commands.plan")
sys.modules["provisioner.commands.plan"].COMMAND = Command("waits", (Example("provision plan", ""),), run)
sys.exit(cli.main(["plan"]))
"""
CHANGES = WAITS.replace(".plan", ".up").replace('["plan"]', "WORDS")
"""The same as a command that changes something."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_asked_to_end_says_that_it_is_safe(number: signal.Signals) -> None:
    for words in ('["up"]', '["-v", "up"]', "[]"):
        code, said = asked_to_end([sys.executable, "-c", CHANGES.replace("WORDS", words)], "ready", number)
        assert code == 5
        assert said.startswith("error: interrupted\nfix: run it again: that is safe")


def test_one_that_changes_nothing_promises_nothing() -> None:
    assert asked_to_end([sys.executable, "-c", WAITS], "ready", signal.SIGINT) == (5, "error: interrupted\n")


def test_following_logs_ends_with_ctrl_c_and_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "llm.log").write_text("ready\n")
    words = [sys.executable, "-c", ENTRY, "logs", "-f", "--state-dir", str(tmp_path)]
    assert asked_to_end(words, "ready", signal.SIGINT) == (0, "")


def asked_to_end(command: list[str], ready: str, number: signal.Signals) -> tuple[int, str]:
    """The exit code of a program that gets a signal once it said that it is ready, and what it said then."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"{ready}\n"
        time.sleep(0.05)
        process.send_signal(number)
        said = process.stdout.read()
    return process.returncode, said


BREAKS = WAITS.replace('screen.note("ready")', "raise ZeroDivisionError('by zero')")


@pytest.mark.parametrize(("words", "trace"), [('["plan"]', False), ('["plan", "-v"]', True)])
def test_our_own_mistakes_are_one_line_and_a_traceback_when_asked_for(words: str, trace: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BREAKS.replace('["plan"]', words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "error: this is a mistake of provision, not yours: ZeroDivisionError: by zero" in done.stderr
    assert ("Traceback" in done.stderr) is trace


def test_a_positional_and_a_short_option() -> None:
    command = Command(
        "x",
        (Example("provision logs", ""),),
        lambda *_: 0,
        (Option("SERVICE", "x"), Option("--follow", "x", short="-f", kind="switch")),
    )
    found = cli.parse("logs", command, ["llm", "-f"])
    assert (found.text("service"), found.switch("follow")) == ("llm", True)
