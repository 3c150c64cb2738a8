"""The image of an Open WebUI whose database the newer one changes, for the tests that go from the one to the other.

It stands on the newer one's image, and on its packages but for those of its own lock. `python -m tools.older` makes it; `make world`
does not, since the tests that want it are thorough ones.
"""

import os
import sys
import tempfile
from functools import partial

from tools.bed import CACHE, check, key, read
from tools.engines import LOCKS, bring_uv, install
from tools.pyimages import OPEN_WEBUI, SYSTEM, image
from tools.registry import add_layers, bring_image

NAME = "openwebui-before"


def older() -> str:
    return f"provision-testbed/{NAME}:{key(image(OPEN_WEBUI), read(f'{LOCKS}/{NAME}.lock'), read(__file__))}"


def bring() -> str:
    def make(there: str) -> None:
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            check([sys.executable, "-m", "venv", "--without-pip", folder])
            install(bring_uv(folder), folder, NAME, "--python", f"{folder}/bin/python", "--target", f"{folder}/lib")
            own = f"{NAME}-{there.rpartition(':')[2]}"
            add_layers(image(OPEN_WEBUI), there, {own: partial(_stage, f"{folder}/lib")}, {})

    return bring_image(older(), make)


def _stage(packages: str, root: str) -> None:
    """Python finds the older packages first."""
    inside = f"/opt/{NAME}"
    os.makedirs(f"{root}/opt")
    check(["cp", "--archive", "--link", packages, f"{root}{inside}"])
    os.makedirs(f"{root}{SYSTEM}")
    with open(f"{root}{SYSTEM}/testbed.pth", "w", encoding="utf-8") as file:
        file.write(f"{inside}\n/opt/{OPEN_WEBUI.name}/lib\n/opt/torch\n")


if __name__ == "__main__":
    print(bring())
