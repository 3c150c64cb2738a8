"""The real components that tests drive: how each is recognised, so that a missing one is named and never passed over.

`PROVISION_REQUIRE=strace,docker` (or `all`) says which of them must be there: without one of those, its tests fail.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import partial

import pytest

from tools import engines, golang, images, machines, pyimages, registry

SYSTEM_PYTHON = "/usr/bin/python3"

REASONS = pytest.StashKey[dict[str, str]]()


def _program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else f"the program `{name}` is not installed"


def _module(name: str) -> Callable[[], str]:
    return lambda: "" if importlib.util.find_spec(name) else f"the package `{name}` is not installed"


def _strace() -> str:
    """Tracing needs a permission besides the program; some containers withhold it."""
    if not shutil.which("strace"):
        return "the program `strace` is not installed"
    traced = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return "" if traced.returncode == 0 else f"strace may not trace here: {traced.stderr.strip()}"


def _docker() -> str:
    if not shutil.which("docker"):
        return "the program `docker` is not installed"
    asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else "no Docker Engine answers"


def _images(*names: Callable[[], str]) -> Callable[[], str]:
    """The first that is missing is named."""
    return lambda: _docker() or next(filter(None, (registry.image_missing(name()) for name in names)), "")


def _built(*names: str) -> Callable[[], str]:
    return _images(*(partial(images.image, name) for name in names))


def _index() -> str:
    """Ask the package index the way pip does; its mirror, proxy and authorities are pip's own affair."""
    from tools import bootstrap

    try:
        bootstrap.get(bootstrap.index_url().rstrip("/") + "/pip/")
    except bootstrap.SetupError as error:
        return str(error).splitlines()[0]
    return ""


def _system_python() -> str:
    """One that every user can run; a newer one may lie in somebody's own folder."""
    asked = subprocess.run([SYSTEM_PYTHON, "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"], check=False)
    return "" if asked.returncode == 0 else f"{SYSTEM_PYTHON} is not 3.11 or newer"


def _root() -> str:
    return "" if os.geteuid() == 0 else "only root may do this"


def _gpu() -> str:
    return "" if os.path.exists("/dev/nvidiactl") else "there is no NVIDIA card with a driver"


def _browser() -> str:
    return _program("chromium")() or _module("playwright")()


COMPONENTS: dict[str, Callable[[], str]] = {
    "browser": _browser,
    "compose": golang.compose_missing,
    "docker": _docker,
    "embedded": _module("xllamacpp"),
    "fresh-machine": _images(machines.fresh_image),
    "gateway": _built("nginx"),
    "gpu": _gpu,
    "image-vllm": _images(partial(pyimages.image, pyimages.VLLM)),
    "index": _index,
    "lab-host": _images(machines.lab_image),
    "lscpu": _program("lscpu"),
    "llamacpp": _built("llamacpp"),
    "ollama": _built("ollama"),
    "openwebui": _images(partial(pyimages.image, pyimages.OPEN_WEBUI)),
    "prometheus": _built("prometheus", "node-exporter"),
    "registry": registry.missing,
    "root": _root,
    "strace": _strace,
    "system-python": _system_python,
    "vllm": engines.missing,
}
"""Each component and what tells that it is missing: a reason, or "" when it is there."""

NOT_IN_ALL = frozenset({"gpu"})
"""What `PROVISION_REQUIRE=all` leaves out, because no script can bring it."""


def required(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the components that must be there; an unknown name is an error, or a typing slip would skip tests."""
    names = frozenset(environment.get("PROVISION_REQUIRE", "").replace(",", " ").split())
    if "all" in names:
        names = names - {"all"} | (COMPONENTS.keys() - NOT_IN_ALL)
    unknown = names - COMPONENTS.keys()
    if unknown:
        raise ValueError(f"PROVISION_REQUIRE: unknown {', '.join(sorted(unknown))}; known are {', '.join(COMPONENTS)}")
    return names


def demand(component: str, config: pytest.Config) -> None:
    """Skip or fail unless the component is there; it is looked for once a run."""
    reasons = config.stash.setdefault(REASONS, {})
    if component not in reasons:
        reasons[component] = COMPONENTS[component]()
    if reasons[component] and component in required(os.environ):
        pytest.fail(f"{component} is required, and {reasons[component]}", pytrace=False)
    if reasons[component]:
        pytest.skip(f"{component}: {reasons[component]}")
