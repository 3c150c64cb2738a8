"""Engines that are planned and not started: what would be said to them, and why nobody says it."""

import subprocess
from pathlib import Path

from provisioner.catalog import scan
from provisioner.engines import ktransformers, lmstudio
from provisioner.model.record import replace
from tests.unit.engines.test_vllm import SERVICE


def test_each_that_is_not_started_says_why() -> None:
    engines = scan("provisioner.engines", "ENGINE").values()
    told = {
        getattr(one, "name", ""): bool(getattr(one, "not_started", ""))
        for one in engines
        if not getattr(one, "starts", True)
    }
    assert told == {"ktransformers": True, "lmstudio": True}
    assert not [one for one in engines if getattr(one, "starts", False) and getattr(one, "not_started", "")]


def test_lm_studio_is_side_loaded_and_serves_under_its_name(tmp_path: Path) -> None:
    """Its documentation holds the words; the shell that would say them is run with a command that writes them down."""
    program = tmp_path / "lms"
    program.write_text('#!/bin/sh\necho "$@" >> said\n')
    program.chmod(0o755)
    service = replace(SERVICE, model_path="/m/qwen 3.gguf", slots=2, devices=("GPU-1",))
    argv = [*lmstudio.ENGINE.program, *lmstudio.ENGINE.command(service)]
    subprocess.run(argv, check=True, cwd=tmp_path, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert (tmp_path / "said").read_text().splitlines() == [
        "daemon up",
        "import --yes --hard-link --user-repo provision/qwen3-32b /m/qwen 3.gguf",
        "load provision/qwen3-32b --identifier qwen3-32b --context-length 65536 --gpu max",
        "server start --port 8000",
    ]


def test_ktransformers_measures_as_sglang_does() -> None:
    assert "--enable-metrics" in ktransformers.ENGINE.command(SERVICE)
