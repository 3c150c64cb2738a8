"""The playbooks as their own linter judges them, at its strictest profile."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ansible_lint_at_its_strictest(tmp_path: Path) -> None:
    lint = Path(sys.executable).with_name("ansible-lint")
    done = subprocess.run(
        [lint, "--offline", "--nocolor", "--profile", "production", "playbooks/"],
        cwd=PROJECT, capture_output=True, text=True, check=False, timeout=240,
        env={"PATH": f"{lint.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profile 'production' was required, and it passed" in done.stdout + done.stderr
