"""The images of the stack, none of which can be pulled here: each is made from packages, and acts as its maker's own does."""

import os
import shutil
import tempfile

from tools.bed import NotHad, key, read, run
from tools.docker import PROXIES, docker
from tools.engines import LOCKS
from tools.golang import OLLAMA, built
from tools.machines import fresh_image
from tools.registry import bring_image

BUILT = ("nginx", "prometheus", "node-exporter", "llamacpp", "ollama", "python")
"""Those that Docker builds, each from the file of its name, on top of a fresh machine."""


def image(name: str) -> str:
    recipe = [fresh_image(), read(f"{LOCKS}/images/{name}/Dockerfile")]
    if name == OLLAMA.name:
        recipe += [read(f"{LOCKS}/go/{name}/go.sum"), repr(OLLAMA)]
    return f"provision-testbed/{name}:{key(*recipe)}"


def bring(name: str) -> str:
    return bring_image(image(name), lambda there: _build(name, there))


def _build(name: str, there: str) -> None:
    """The builder reaches the packages as this machine does."""
    with tempfile.TemporaryDirectory() as context:
        shutil.copy(f"{LOCKS}/images/{name}/Dockerfile", context)
        if name == OLLAMA.name:
            shutil.copy(built(OLLAMA), f"{context}/{name}")
        arguments = [word for each in PROXIES if each in os.environ for word in ("--build-arg", each)]
        command = [
            "docker",
            "build",
            "--quiet",
            "--network",
            "host",
            "--build-arg",
            f"BASE={fresh_image()}",
            *arguments,
        ]
        made = run([*command, "--tag", there, context], env={**os.environ, "DOCKER_BUILDKIT": "0"})
    if made.returncode:
        raise NotHad(f"the image {name} cannot be built: {made.stderr.strip()[-300:]}")
    docker("push", "--quiet", there)
