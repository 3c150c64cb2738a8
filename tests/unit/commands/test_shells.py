"""Completion, asked for in the shells themselves."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioner.commands import COMMANDS
from provisioner.commands.completion import SHELLS
from provisioner.commands.options import PROFILES
from provisioner.commands.shells import script
from tests.program import run


def bash(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    (folder / "script").write_text(script("bash"), encoding="utf-8")
    asks = 'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _provision; printf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(
        ["bash", "--norc", "-c", asks, "provision", "provision", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        timeout=30,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout != "\n" else []


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ([""], list(COMMANDS)),
        (["pl"], ["plan"]),
        (["--pro"], ["--profile"]),
        (["--profile", "st"], ["standard"]),
        (["--profile", "="], list(PROFILES)),
        (["--profile", "=", "st"], ["standard"]),
        (["plan", "--profile", ""], list(PROFILES)),
        (["plan", "--profile", "demo", "--exp"], ["--explain"]),
        (["--state-dir", "plan", "sta"], ["status"]),
        (["--json", "hist"], ["history"]),
        (["completion", ""], list(SHELLS)),
        (["logs", "--fo"], ["--follow"]),
        (["up", "--hard"], []),
        (["plan", "--context", ""], []),
        (["plan", "--source", "m"], ["modelscope"]),
    ],
)
def test_bash_offers(words: list[str], offers: list[str], tmp_path: Path) -> None:
    assert bash(tmp_path, *words) == offers


def test_bash_offers_files_and_folders_with_blanks_in_their_names(tmp_path: Path) -> None:
    (tmp_path / "my server.json").touch()
    (tmp_path / "my weights").mkdir()
    assert sorted(bash(tmp_path, "plan", "--hardware", "my")) == ["my server.json", "my weights"]
    assert bash(tmp_path, "plan", "--weights", "my") == ["my weights"]


def test_bash_knows_whom_the_completion_is_for() -> None:
    asks = 'eval "$(cat)"; complete -p provision'
    done = subprocess.run(
        ["bash", "--norc", "-c", asks], input=script("bash"), capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "complete -F _provision provision\n"


def needs(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    return found


@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("provision pl", ["plan"]),
        ("provision --pro", ["--profile"]),
        ("provision plan --profile st", ["standard"]),
        ("provision plan --exp", ["--explain"]),
        ("provision completion ", ["bash", "fish", "zsh"]),
    ],
)
def test_fish_offers(line: str, offers: list[str], tmp_path: Path) -> None:
    fish = needs("fish")
    place = tmp_path / "provision.fish"
    place.write_text(script("fish"), encoding="utf-8")
    done = subprocess.run(
        [fish, "--no-config", "-c", f"source {place}; complete -C '{line}'"], capture_output=True, text=True, check=True, timeout=30,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert [each.partition("\t")[0] for each in done.stdout.splitlines()] == offers


def test_zsh_reads_it_and_registers_it(tmp_path: Path) -> None:
    zsh = needs("zsh")
    place = tmp_path / "provision.zsh"
    place.write_text(script("zsh"), encoding="utf-8")
    asks = f"autoload -Uz compinit; compinit -u -d {tmp_path}/dump; source {place}; print $_comps[provision]"
    done = subprocess.run([zsh, "-fc", asks], capture_output=True, text=True, check=True, timeout=30)
    assert (done.stdout, done.stderr) == ("_provision\n", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_is_in_every_script(shell: str) -> None:
    assert all(name in script(shell) for name in COMMANDS)
    assert run("completion", shell).out == script(shell)
    assert json.loads(run("completion", shell, "--json").out)["script"] == script(shell)
