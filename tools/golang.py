"""Programs that come as the source of a Go module: each is built through a small module of ours, which pins all that it is made of."""

import glob
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.bed import CACHE, PROJECT, NotHad, check, key, read, retry, run

MODULES = f"{PROJECT}/tools/testbed/go"
SOUND = "github.com/gen2brain/malgo"
PLUGINS = os.path.expanduser("~/.docker/cli-plugins")


@dataclass(frozen=True)
class Program:
    name: str
    package: str
    sets: str
    """What the linker writes into it: the version that it tells."""
    env: Mapping[str, str] = field(default_factory=dict)


COMPOSE = Program("compose", "github.com/docker/compose/v5/cmd", "github.com/docker/compose/v5/internal.Version=v5.5.1",
                  {"CGO_ENABLED": "0"})  # fmt: skip
OLLAMA = Program("ollama", "github.com/ollama/ollama", "github.com/ollama/ollama/version.Version=0.17.4",
                 {"CGO_ENABLED": "1", "CGO_CFLAGS": "-O1", "CGO_CXXFLAGS": "-O1"})  # fmt: skip
"""Its llama.cpp is optimised a little only: that takes two thirds of the time, and the models here are tiny."""


def compose_missing() -> str:
    asked = run(["docker", "compose", "version", "--short"]) if shutil.which("docker") else None
    if asked is None or asked.returncode:
        return "`docker compose` is not installed: `make world` builds it"
    major = asked.stdout.strip().lstrip("v").partition(".")[0]
    return "" if major.isdigit() and int(major) >= 2 else f"`docker compose` is {asked.stdout.strip()}, and 2 is needed"


def bring_compose() -> str:
    if not compose_missing():
        return "docker compose " + check(["docker", "compose", "version", "--short"])
    path = built(COMPOSE)
    os.makedirs(PLUGINS, exist_ok=True)
    shutil.copy2(path, f"{PLUGINS}/docker-compose.part")
    os.replace(f"{PLUGINS}/docker-compose.part", f"{PLUGINS}/docker-compose")
    return "docker compose " + check(["docker", "compose", "version", "--short"])


def bring_ollama() -> str:
    return built(OLLAMA)


def built(program: Program) -> str:
    """The program's file, built when it is first asked for."""
    module = f"{MODULES}/{program.name}"
    recipe = (*(read(f"{module}/{name}") for name in ("go.mod", "go.sum", "tools.go")), repr(program))
    path = f"{CACHE}/{program.name}-{key(*recipe)}"
    if not os.path.exists(path):
        _build(program, module, path)
    return path


def _build(program: Program, module: str, path: str) -> None:
    if not shutil.which("go"):
        raise NotHad("it is built from a Go module, and the program `go` is not installed")
    for older in glob.glob(f"{CACHE}/{program.name}-*"):
        os.unlink(older)
    with tempfile.TemporaryDirectory() as folder:
        env = dict(program.env)
        if program is OLLAMA:
            _headers(module, folder)
            env["CGO_CPPFLAGS"] = f"-I{folder}"
        options = ["-trimpath", "-ldflags", f"-s -w -X {program.sets}", "-o", f"{path}.part"]
        retry(["go", "-C", module, "build", *options, program.package], env=env)
    os.replace(f"{path}.part", path)


def _headers(module: str, folder: str) -> None:
    """Ollama's module leaves out three headers that it is compiled with: two are Debian's, and one is in another module."""
    for name in ("nlohmann", "stb"):
        if not os.path.exists(f"/usr/include/{name}"):
            raise NotHad(f"/usr/include/{name} is not there")
        os.symlink(f"/usr/include/{name}", f"{folder}/{name}")
    retry(["go", "-C", module, "mod", "download", SOUND])
    os.symlink(check(["go", "-C", module, "list", "-m", "-f", "{{.Dir}}", SOUND]), f"{folder}/miniaudio")
