"""The program in an interpreter that says that it runs on a Mac: macOS's tools are scripts that print what they print there."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import macos, macs

AS_ON_A_MAC = """
import os, select, signal, sys
from collections import namedtuple
name = namedtuple("uname", "sysname nodename release version machine")
os.uname = lambda: name("Darwin", "mac.local", "24.3.0", "", "arm64")
lacking = {os: ("copy_file_range", "eventfd", "fdatasync", "memfd_create", "pidfd_open", "pipe2", "posix_fadvise",
                "posix_fallocate", "sched_getaffinity", "sched_setaffinity", "splice", "waitid"),
           select: ("epoll",), signal: ("pidfd_send_signal",)}
for module, names in lacking.items():
    for each in names:
        if hasattr(module, each):
            delattr(module, each)
sys.platform = "darwin"
from provisioner.__main__ import main
sys.exit(main())
"""
"""What macOS's Python has not, by `mypy --platform darwin`; files of Linux that happen to be here are not asked for."""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with every program that is asked, each of which knows its own commands alone."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts: dict[str, list[str]] = {}
    for number, (command, text) in enumerate(macs.tools(macos.M4_MAX, macs.vm_stat(64, 6)).items()):
        name, _, words = command.partition(" ")
        (tmp_path / f"{number}.txt").write_text(str(text), encoding="utf-8")
        print_it = f"exec /bin/cat {shlex.quote(str(tmp_path / f'{number}.txt'))}"
        scripts.setdefault(name, []).append(f'[ "$*" = {shlex.quote(words)} ] && {print_it}')
    for name, lines in scripts.items():
        (folder / name).write_text(
            "\n".join(("#!/bin/sh", *lines, f"echo '{name}: what?' >&2", "exit 1", "")), encoding="utf-8"
        )
        (folder / name).chmod(0o755)
    return folder


def run(tools: Path, *words: str) -> subprocess.CompletedProcess[str]:
    place = ("--state-dir", str(tools.parent / "state"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return subprocess.run(
        [sys.executable, "-c", AS_ON_A_MAC, *words, *place], env=environment | {"PATH": str(tools)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_detect_asks_the_tools(tools: Path) -> None:
    done = run(tools, "detect", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["host"]["os"], found["host"]["system"], found["cpu"]["cores"]) == ("macOS 15.3 (24D60)", "Darwin", 16)
    assert found["memory"]["available_bytes"] == 58 << 30
    assert [disk["name"] for disk in found["disks"]] == ["disk0"]
    assert {"/", "/Volumes/Fast Disk (2)"} == {volume["mount"] for volume in found["filesystems"]}
    assert [card["name"] for card in found["accelerators"] if card["vendor"] == "apple"] == ["Apple M4 Max"]


def test_up_refuses_and_leaves_nothing(tools: Path) -> None:
    """After all of `plan`, which it shares: nothing of it needs what only Linux has."""
    done = run(tools, "up", "--profile", "basic", "--engine", "llamacpp")
    assert done.returncode == 3, done.stderr
    assert "this version starts nothing on macOS" in done.stderr
    assert "fix: start it there by hand" in done.stderr
    assert not (tools.parent / "state").exists()
