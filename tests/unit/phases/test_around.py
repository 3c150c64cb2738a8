"""What a plan needs of this machine that somebody else has to have put there."""

from pathlib import Path

import pytest

from provisioner.model.spec import Spec
from provisioner.phases.around import not_installed
from tests.unit.planning.samples import plan

MADE = plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-8b", engine="lmstudio", target="process"))


def test_an_engine_that_is_not_installed_is_told_with_how_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = not_installed(MADE)
    assert (found.level, found.message) == (
        "error", f"LM Studio is not installed for this user: there is no {tmp_path}/.lmstudio/bin/lms",
    )  # fmt: skip
    assert "lmstudio.ai/install.sh" in found.fix


def test_one_that_is_there_is_no_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    program = tmp_path / ".lmstudio" / "bin" / "lms"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    assert len(list(not_installed(MADE))) == 1
    program.chmod(0o755)
    assert list(not_installed(MADE)) == []


def test_what_we_bring_is_asked_for_nowhere() -> None:
    assert list(not_installed(plan("8 cores, 32 GiB", Spec(profile="demo")))) == []
